#!/usr/bin/env bash
# Installs what Parapet needs on Debian 12 or 13 and is not there yet, and says what.
#   deps.sh build   compiler and libraries, Python for the model compiler
#   deps.sh lint    build + clang, clang-tidy, clang-format, cppcheck, sanitizers
#   deps.sh all     build + Redis, Java, Maven, and the Python packages of the test stack (build/venv)
set -eu
what=${1:-all}
cd "$(dirname "$0")/../.."
venv=build/venv

# command or pkg-config module -> Debian package
build_needs="gcc:gcc pkg-config:pkg-config python3:python3
pc:jansson:libjansson-dev pc:yaml-0.1:libyaml-dev pc:rdkafka:librdkafka-dev pc:hiredis:libhiredis-dev
pc:libcurl:libcurl4-openssl-dev pc:libcrypto:libssl-dev pc:libmicrohttpd:libmicrohttpd-dev pc:expat:libexpat1-dev
pc:zlib:zlib1g-dev pc:cmocka:libcmocka-dev file:/usr/include/uthash.h:uthash-dev py:venv,ensurepip:python3-venv"
lint_needs="clang:clang clang-tidy:clang-tidy clang-format:clang-format cppcheck:cppcheck
file:/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.asan-x86_64.a:libclang-rt-dev"
all_needs="redis-server:redis-server java:default-jre-headless mvn:maven"

missing() { # prints the packages of the list that are not there
  local need kind rest package
  for need in $1; do
    case $need in
      pc:*) rest=${need#pc:}; package=${rest#*:}
        command -v pkg-config >/dev/null && pkg-config --exists "${rest%%:*}" 2>/dev/null || echo "$package" ;;
      file:*) rest=${need#file:}; package=${rest##*:}
        compgen -G "${rest%:*}" >/dev/null || echo "$package" ;;
      py:*) rest=${need#py:}; package=${rest##*:}
        /usr/bin/python3 -c "import ${rest%:*}" 2>/dev/null || echo "$package" ;;
      *) command -v "${need%%:*}" >/dev/null 2>&1 || echo "${need#*:}" ;;
    esac
  done
}

apt_install() {
  local packages=$1
  [ -n "$packages" ] || return 0
  echo "deps: installing with apt: $(echo $packages | tr '\n' ' ')"
  local sudo=""
  [ "$(id -u)" = 0 ] || sudo=sudo
  if echo "$packages" | grep -qx libclang-rt-dev; then # the runtime carries the compiler's version in its name
    local version
    version=$(apt-cache depends clang 2>/dev/null | sed -nE 's/.*Depends: clang-([0-9]+)$/\1/p' | head -1)
    packages=$(echo "$packages" | sed "s/^libclang-rt-dev$/libclang-rt-${version:-14}-dev/")
  fi
  $sudo apt-get update -q >/dev/null
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $packages >build/apt.log 2>&1 ||
    { tail -20 build/apt.log >&2; echo "deps: apt-get failed; its log is build/apt.log" >&2; exit 1; }
}

python_packages() {
  local wanted stamp=$venv/.requirements
  wanted=$(cat tests/support/requirements.txt)
  if [ ! -x $venv/bin/python ] || [ ! -f $stamp ] || [ "$(cat $stamp)" != "$wanted" ]; then
    echo "deps: installing with pip into $venv: $(grep -vE '^(#|$)' tests/support/requirements.txt | tr '\n' ' ')"
    /usr/bin/python3 -m venv $venv
    $venv/bin/pip install -q --no-input -r tests/support/requirements.txt
    printf '%s' "$wanted" >$stamp
  fi
}

kafka_jars() {
  local jars=build/kafka stamp=build/kafka/.pom
  if [ ! -f $stamp ] || ! cmp -s tests/support/kafka/pom.xml $stamp; then
    echo "deps: fetching Apache Kafka's jars with Maven into $jars"
    mvn -q -B -f tests/support/kafka/pom.xml dependency:copy-dependencies -DoutputDirectory="$PWD/$jars/libs" >build/mvn.log 2>&1 ||
      { tail -20 build/mvn.log >&2; exit 1; }
    cp tests/support/kafka/pom.xml $stamp
  fi
}

mkdir -p build
case $what in
  build) apt_install "$(missing "$build_needs")" ;;
  lint) apt_install "$(missing "$build_needs $lint_needs")" ;;
  all) apt_install "$(missing "$build_needs $all_needs")"; python_packages; kafka_jars ;;
  *) echo "usage: deps.sh build|lint|all" >&2; exit 2 ;;
esac
