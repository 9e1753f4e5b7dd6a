#!/usr/bin/env bash
# Installs what is missing, builds Assay and runs its tests; the exit status is that of ctest.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'TEXT'
Usage: scripts/test.sh [--preset NAME] [-R REGEX] [-L LABEL] [-j JOBS]

Installs missing packages (scripts/setup.sh), builds the tests and runs them with ctest.

  --preset NAME   release (default), dev, asan (address and undefined behaviour) or tsan (threads)
  -R REGEX        only tests whose name matches
  -L LABEL        only tests whose label matches
  -j JOBS         tests run at the same time (default 2)
  --help          this text

Environment: ASSAY_SKIP_SETUP=1 leaves the packages alone; ASSAY_SHARED_DATA names the folder of the data that is not part
of the repository (tests that need it and do not find it say "skipped").
TEXT
}

fail_usage() {
  echo "test: error: $*; see scripts/test.sh --help" >&2
  exit 2
}

preset=release
jobs=2
selection=()
while [[ $# -gt 0 ]]; do
  option=$1
  case "$option" in
    -h | --help) usage; exit 0 ;;
    --preset | -R | -L | -j) [[ $# -ge 2 ]] || fail_usage "$option needs a value"; shift ;;
    *) fail_usage "unknown argument '$option'" ;;
  esac
  case "$option" in
    --preset) preset=$1 ;;
    -j) jobs=$1 ;;
    *) selection+=("$option" "$1") ;;
  esac
  shift
done
case "$preset" in
  release | dev | asan | tsan) ;;
  *) fail_usage "unknown preset '$preset'" ;;
esac

[[ ${ASSAY_SKIP_SETUP:-} == 1 ]] || ./scripts/setup.sh
started=$SECONDS
cmake --preset "$preset"
cmake --build --preset "$preset"
echo "test: $preset build ready after $((SECONDS - started)) s"

# The first finding of a sanitizer ends the test that made it. Use after return is not looked for: gcc before 14 places 64-byte
# vectors at unaligned addresses of the stack it fakes for that (gcc bug 110027).
export ASAN_OPTIONS=${ASAN_OPTIONS:-strict_string_checks=1:detect_stack_use_after_return=0}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:suppressions=$PWD/scripts/sanitizers/tsan.supp}

# --no-tests=error: a run that tests nothing must not look like success.
exec ctest --preset "$preset" -j "$jobs" --no-tests=error "${selection[@]}" </dev/null
