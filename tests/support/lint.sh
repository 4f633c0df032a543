#!/usr/bin/env bash
# Everything about the sources that can be judged without running them.  One line a stage; what a stage finds is
# printed behind it.  Ends with "lint: clean", or exits 1.
#
# What is judged file by file (compilers, clang-tidy) is remembered under $BUILD/lint by a hash of the file, the headers
# it includes, the options and the tool: a second run judges only what changed.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
jobs=${JOBS:-2}
cache=$build/lint
mkdir -p "$cache"

files() { # files PATTERN…: the project's files of these names, built and fetched things left out
  local names=() pattern
  for pattern in "$@"; do names+=(-o -name "$pattern"); done
  find . \( -path "./$build" -o -path './build*' -o -path ./.git -o -name __pycache__ -o -name node_modules \) -prune -o \
    -type f \( "${names[@]:1}" \) -print | sed 's|^\./||' | LC_ALL=C sort
}
mapfile -t sources < <(files '*.c')
mapfile -t headers < <(files '*.h')
mapfile -t scripts < <(files '*.sh'; [[ -f .ci/run ]] && echo .ci/run)
mapfile -t pythons < <(files '*.py')

# The options are the Makefile's own; what it generates must be there.
make -s --no-print-directory BUILD="$build" "$build/gen/state_scripts.h" >/dev/null || exit 1
options=$(make -s --no-print-directory BUILD="$build" --eval='lint-options: ; $(info $(ALL_CFLAGS))' lint-options)
export cache options

# ---- one file, remembered ---------------------------------------------------------------------------------------
check_file() { # check_file TOOL FILE: its complaints in $cache/TOOL/<hash>.txt; nothing when it is clean
  local tool=$1 file=$2 all version hash mark output checks=""
  eval "all=($options)" # as the shell of a recipe would read them
  case $file in
    tests/unit/*) all+=(-Itests/unit -Wno-unused-function) ;; # the tests are called by a generated main
  esac
  # The path-sensitive analyzer is slow and has little to say about tests, which the sanitizers run anyway; and a test
  # may be plain about numbers and programs that it wrote itself.
  [[ $file != tests/* ]] || checks="-clang-analyzer-*,-cert-err34-c,-cert-env33-c,-bugprone-not-null-terminated-result"
  case $tool in
    clang-tidy) version=$(clang-tidy --version; cat .clang-tidy) ;;
    *) version=$("$tool" --version) ;;
  esac
  hash=$({ echo "$tool $version ${all[*]}"; cat "$file"; gcc "${all[@]}" -MM "$file" 2>/dev/null | tr -d '\\' | tr ' ' '\n' |
    grep '\.h$' | LC_ALL=C sort -u | xargs -r cat; } | sha256sum | cut -c1-32)
  mark=$cache/$tool/$hash
  [[ -f $mark.clean ]] && return 0
  case $tool in
    gcc) output=$(gcc "${all[@]}" -c "$file" -o /dev/null 2>&1) ;;
    clang) output=$(clang "${all[@]}" -fsyntax-only "$file" 2>&1) ;;
    clang-tidy) output=$(clang-tidy --quiet --checks="$checks" "$file" -- "${all[@]}" 2>&1) ;;
  esac && { : >"$mark.clean"; return 0; }
  grep -vE '^[0-9]+ warnings? (generated|treated as error)|^Suppressed |^Use -header-filter' <<<"$output"
  return 1
}
export -f check_file

each() { # each TOOL: check_file over all sources, $jobs at a time
  mkdir -p "$cache/$1"
  printf '%s\n' "${sources[@]}" | xargs -P"$jobs" -I{} bash -c 'check_file "$0" "$1"' "$1" {}
}

# ---- stages -----------------------------------------------------------------------------------------------------
check_format() {
  local found
  found=$(printf '%s\n' "${sources[@]}" "${headers[@]}" | xargs -r clang-format --dry-run 2>&1)
  [[ -n $found ]] || return 0
  sed -nE 's/^([^ :]+):[0-9]+:[0-9]+: (warning|error): .*/\1/p' <<<"$found" | uniq -c |
    awk '{ printf "%s: %d places, mended by clang-format -i\n", $2, $1 }'
  return 1
}
check_gcc() { each gcc; }
check_clang() { each clang; }
check_tidy() { each clang-tidy; }

check_cppcheck() {
  local suppressed=(
    missingIncludeSystem         # libraries' headers are not read, their functions are known well enough
    normalCheckLevelMaxBranches  # a remark about the tool's own effort (since 2.11)
    varFuncNullUB                # NULL is a pointer in every C library that this runs on
    uninitvar ctuuninitvar       # arrays that a function fills; the compilers and the sanitizers see the real ones
    ctuPointerArith              # lengths that were computed from each other
    arrayIndexThenCheck          # `table[i].name && i < LIMIT`: the table ends with an empty row, LIMIT is the copy's
    CastIntegerToAddressAtReturn # takes `struct template` for C++
    nullPointer:common/state/connection_pool.c # a connection or a failure is given, never neither
    # tests: a failed assertion does not return, which cppcheck does not know; malloc is not looked at everywhere
    'nullPointer:tests/*' 'ctunullpointer:tests/*' 'nullPointerRedundantCheck:tests/*'
    'nullPointerOutOfMemory:tests/*' 'nullPointerArithmeticOutOfMemory:tests/*'
  )
  mkdir -p "$cache/cppcheck"
  cppcheck --enable=warning,performance,portability --error-exitcode=1 --inline-suppr --quiet --std=c11 -j"$jobs" \
    --cppcheck-build-dir="$cache/cppcheck" --template='{file}:{line}: {severity}: {message} [{id}]' \
    "${suppressed[@]/#/--suppress=}" --include=tests/support/cppcheck.h \
    -D_GNU_SOURCE -Icommon -Iworker -Iproducer -Itests/unit -I"$build/gen" "${sources[@]}"
}

check_scripts() {
  local script failed=0
  for script in "${scripts[@]}"; do
    bash -n "$script" || failed=1
    [[ -x $script ]] || { echo "$script: is not executable"; failed=1; }
  done
  return $failed
}

check_python() {
  printf '%s\n' "${pythons[@]}" | xargs -r python3 -c '
import sys, warnings
warnings.simplefilter("error")
failed = 0
for name in sys.argv[1:]:
    try:
        with open(name, "rb") as source:
            compile(source.read(), name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, Warning) as error:
        print(f"{name}: {error}")
        failed = 1
sys.exit(failed)'
}

# What jansson hands out as text is not free()'s in our programs (json_use_blocks): json_text() and json_written() are.
check_texts() {
  ! grep -rn 'json_dumps(' common worker producer --include='*.c'
}

# Nothing of the machine it was written on, and no package registry by name: those come from the clients' own settings.
check_places() {
  local hosts='(pypi\.org|pythonhosted\.org|repo1?\.maven|registry\.npmjs|(deb|security)\.debian\.org|proxy\.golang'
  hosts+='|(index|registry-1|hub)\.docker\.|ghcr\.io|quay\.io|crates\.io)'
  local paths='(^|[^A-Za-z0-9_.~-])/(work|root|home)/'
  ! files '*' | xargs -r -d '\n' grep -nIE "$hosts|$paths" --
}

failures=0
shown=150 # lines of what a failed stage says
stage() { # stage NAME COUNT WHAT FUNCTION
  local started=$SECONDS output
  if output=$("$4" 2>&1); then
    printf '%-12s %5d %-8s ok      %3d s\n' "$1" "$2" "$3" $((SECONDS - started))
  else
    printf '%-12s %5d %-8s FAILED  %3d s\n' "$1" "$2" "$3" $((SECONDS - started))
    sed -n "1,${shown}p" <<<"$output"
    (($(wc -l <<<"$output") <= shown)) || echo "… and $(($(wc -l <<<"$output") - shown)) lines more"
    failures=$((failures + 1))
  fi
}

stage format $((${#sources[@]} + ${#headers[@]})) files check_format
stage gcc ${#sources[@]} files check_gcc
stage clang ${#sources[@]} files check_clang
stage clang-tidy ${#sources[@]} files check_tidy
stage cppcheck ${#sources[@]} files check_cppcheck
stage scripts ${#scripts[@]} files check_scripts
stage python ${#pythons[@]} files check_python
stage texts ${#sources[@]} files check_texts
stage places "$(files '*' | wc -l)" files check_places

if ((failures > 0)); then
  echo "lint: $failures stages failed"
  exit 1
fi
echo "lint: clean"
