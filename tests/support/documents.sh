#!/usr/bin/env bash
# Are the documents true?  What can be checked by a machine: the page of settings is the one that the programs write
# now, and every file, folder, make target and verb that README.md and schemas/*.md name is there.
# Ends with "documents: N passed, N failed".
set -u
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build}
passed=0 failed=0
check() { # check WHAT COMMAND…
  local what=$1
  shift
  if "$@"; then
    passed=$((passed + 1))
  else
    echo "documents: $what"
    failed=$((failed + 1))
  fi
}

settings_are_current() { diff <(tests/support/settings_page.sh "$BUILD") schemas/config.md; }
check "schemas/config.md is not what the programs print: run make docs" settings_are_current

# `path/to/file` and [text](path) with one of the house's folders in front; NAME stands for one of your own
while read -r page path; do
  check "$page names $path, which is not there" test -e "$path"
done < <(for page in README.md schemas/*.md; do
  grep -oE '(`|\]\()(producer|worker|common|deploy|schemas|tests)/[A-Za-z0-9_./-]*' "$page" | sed -E 's/^(`|\]\()//' |
    grep -v NAME | sort -u | sed "s|^|$page |"
done)

while read -r target; do
  check "README.md names \"make $target\", which is not a target" grep -qE "^$target:" Makefile
done < <(grep -oE 'make [a-z]+[`]' README.md | sed -E 's/make ([a-z]+)./\1/' | sort -u)

verbs=$("$BUILD/parapet" --help)
while read -r verb; do
  check "README.md names \"parapet $verb\", which is not a verb" grep -qE "^ +$verb( |$)" <<<"$verbs"
done < <(grep -ohE '(^|`|build/)parapet [a-z]+' README.md | sed -E 's/.*parapet //' | sort -u)

echo "documents: $passed passed, $failed failed"
((failed == 0 && passed > 0))
