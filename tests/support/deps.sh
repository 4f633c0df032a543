#!/usr/bin/env bash
# Installs what Parapet needs on Debian 12 or 13 and is not there yet, and says what.
#   deps.sh build   compiler and libraries, Python for the model compiler
#   deps.sh lint    build + clang, clang-tidy, clang-format, cppcheck, sanitizers
#   deps.sh all     build + Redis, Java, Maven, and the Python packages of the test stack (build/venv)
#   deps.sh bench   all + what our matcher is measured beside: event-ruler (Maven), simdjson
set -eu
what=${1:-all}
cd "$(dirname "$0")/../.."
venv=build/venv

# command or pkg-config module -> Debian package
build_needs="gcc:gcc pkg-config:pkg-config python3:python3
pc:jansson:libjansson-dev pc:yaml-0.1:libyaml-dev pc:rdkafka:librdkafka-dev pc:hiredis:libhiredis-dev
pc:libcurl:libcurl4-openssl-dev pc:libcrypto:libssl-dev pc:libmicrohttpd:libmicrohttpd-dev
pc:zlib:zlib1g-dev pc:jemalloc:libjemalloc-dev pc:cmocka:libcmocka-dev file:/usr/include/uthash.h:uthash-dev py:venv,ensurepip:python3-venv"
lint_needs="clang:clang clang-tidy:clang-tidy clang-format:clang-format cppcheck:cppcheck
file:/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.asan-*.a:libclang-rt-dev"
all_needs="redis-server:redis-server java:default-jre-headless mvn:maven
file:/usr/lib/*/faketime/libfaketimeMT.so.1:faketime"

bench_needs="javac:default-jdk-headless g++:g++ file:/usr/include/simdjson.h:libsimdjson-dev"

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
  $sudo apt-get update -q >build/apt.log 2>&1 ||
    { tail -5 build/apt.log >&2; echo "deps: apt-get update failed" >&2; exit 1; }
  if echo "$packages" | grep -qx libclang-rt-dev; then # the runtime carries the compiler's version in its name
    local version
    version=$(apt-cache depends clang | sed -nE 's/.*Depends: clang-([0-9]+)$/\1/p' | head -1)
    packages=$(echo "$packages" | sed "s/^libclang-rt-dev$/libclang-rt-${version:?apt knows no clang}-dev/")
  fi
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $packages >>build/apt.log 2>&1 ||
    { tail -20 build/apt.log >&2; echo "deps: apt-get failed; its log is build/apt.log" >&2; exit 1; }
}

python_packages() {
  local wanted stamp=$venv/.requirements
  wanted=$(cat tests/support/requirements.txt)
  if [ ! -x $venv/bin/python ] || [ ! -f $stamp ] || [ "$(cat $stamp)" != "$wanted" ]; then
    echo "deps: installing with pip into $venv: $(grep -vE '^(#|$)' tests/support/requirements.txt | tr '\n' ' ')"
    rm -rf $venv # a venv of another Python is no use
    /usr/bin/python3 -m venv $venv
    $venv/bin/pip install -q --no-input -r tests/support/requirements.txt
    printf '%s' "$wanted" >$stamp
  fi
}

maven_copy() { # the jars of the pom $1 into $2
  # The plugin's full name, since Maven reports a network error for a short one as "No plugin found".
  mvn -q -B -f "$1" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
    -DoutputDirectory="$PWD/$2" >build/mvn.log 2>&1
}

maven_jars() { # maven_jars WHAT POM DIRECTORY JAR: fetched once, into DIRECTORY/libs
  local what=$1 pom=$2 jars=$3 jar=$4 stamp=$3/.pom bundle=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
  if [ -f $stamp ] && cmp -s $pom $stamp; then return 0; fi
  echo "deps: fetching $what with Maven into $jars"
  rm -rf $jars
  mkdir -p $jars
  if ! maven_copy $pom $jars/libs && [ -f "$bundle" ]; then
    # Perhaps the system trusts an authority that Java's own list lacks: give Java the system's list.
    $venv/bin/python -W ignore tests/support/kafka/truststore.py "$bundle" $jars/trust.p12
    MAVEN_OPTS="${MAVEN_OPTS:-} -Djavax.net.ssl.trustStore=$PWD/$jars/trust.p12 -Djavax.net.ssl.trustStorePassword=changeit" \
      maven_copy $pom $jars/libs || true
  fi
  compgen -G "$jars/libs/$jar" >/dev/null ||
    { tail -20 build/mvn.log >&2; echo "deps: Maven failed; its log is build/mvn.log" >&2; return 1; }
  cp $pom $stamp
}

everything() {
  apt_install "$(missing "$build_needs $all_needs")"
  python_packages
  maven_jars "Apache Kafka's jars" tests/support/kafka/pom.xml build/kafka 'kafka_*.jar'
}

mkdir -p build
case $what in
  build) apt_install "$(missing "$build_needs")" ;;
  lint) apt_install "$(missing "$build_needs $lint_needs")" ;;
  all) everything ;;
  bench) # measured without them, and said, where they cannot be had
    everything
    (apt_install "$(missing "$bench_needs")") || true
    maven_jars event-ruler tests/bench/event_ruler/pom.xml build/event_ruler 'event-ruler-*.jar' || true ;;
  *) echo "usage: deps.sh build|lint|all|bench" >&2; exit 2 ;;
esac
