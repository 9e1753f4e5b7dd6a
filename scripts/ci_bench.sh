#!/usr/bin/env bash
# The regression gate: builds two commits, measures them in turn in one job, and fails when the new one is worse.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'TEXT'
Usage: scripts/ci_bench.sh BASE NEW [MODEL...] [-- ASSAY_BENCH_OPTION...]
       scripts/ci_bench.sh --write-baseline

Builds BASE and NEW (commits, branches or tags, each in a work tree of its own; or folders that hold assay and bench_models
already), measures the models with both programs, rounds in turn, and compares them. Without a MODEL: the fixtures.
Options after -- go to assay bench; without any: --preset ci.

Facts that no machine changes (output, bytes per token, planned memory) are also held against reports/baseline/facts.jsonl, when
the fixtures are measured. --write-baseline makes that file anew from the working tree's build; commit it with the reason.

Writes to reports/out/ci/: records.jsonl, compare.md, compare.xml (JUnit), facts.md, report.html. Where GITHUB_STEP_SUMMARY is
set, the Markdown is added to it.

  --help   this text

Exit codes: 0 no regression, 1 regression, 2 usage, 3 could not: a build failed, nothing to compare.
Environment: ASSAY_SKIP_SETUP=1 leaves the packages alone; ASSAY_CI_COMPARE holds more options for assay compare, for instance
"--min-effect 5".
TEXT
}

fail() {
  echo "ci_bench: error: $1" >&2
  exit "${2:-3}"
}

fixtures=(fixtures/models/nano-frankenstein/gguf/*.gguf fixtures/models/nano-frankenstein/mlx-4bit fixtures/models/tiny-frankenstein/gguf/*.gguf)
baseline=reports/baseline/facts.jsonl

# Facts do not need many rounds; the same settings every time, so that cases join.
measure_facts() { # ASSAY OUT
  "$1" bench "${fixtures[@]}" -p 64 -n 16 -r 1 --samples 1 --no-cold --quality --ctx 128 --chunks 8 -q -o facts >"$2"
}

if [[ ${1:-} == --help || ${1:-} == -h ]]; then
  usage
  exit 0
fi
if [[ ${1:-} == --write-baseline ]]; then
  [[ -x build/release/bin/assay ]] || fail "build the release preset first"
  mkdir -p reports/baseline
  measure_facts build/release/bin/assay "$baseline" || fail "the fixtures could not be measured"
  echo "ci_bench: wrote $baseline"
  exit 0
fi

positional=()
options=()
while [[ $# -gt 0 ]]; do
  case "$1" in
    --) shift; options=("$@"); break ;;
    -*) fail "unknown argument '$1'; see scripts/ci_bench.sh --help" 2 ;;
    *) positional+=("$1") ;;
  esac
  shift
done
[[ ${#positional[@]} -ge 2 ]] || fail "needs BASE and NEW; see scripts/ci_bench.sh --help" 2
models=("${positional[@]:2}")
[[ ${#models[@]} -gt 0 ]] || models=("${fixtures[@]}")
[[ ${#options[@]} -gt 0 ]] || options=(--preset ci)

work=$(mktemp -d)
trap 'for tree in "$work"/base "$work"/new; do [[ ! -d $tree ]] || git worktree remove --force "$tree" 2>/dev/null || true; done; rm -rf "$work"' EXIT

# Prints the folder of a side's programs.
programs_of() { # NAME SIDE
  if [[ -x $2/assay && -x $2/bench_models ]]; then
    (cd "$2" && pwd)
    return
  fi
  git rev-parse --verify --quiet "$2^{commit}" >/dev/null || fail "'$2' is neither a commit nor a folder with assay and bench_models" 2
  git worktree add --quiet --detach "$work/$1" "$2" >&2 || fail "cannot check out '$2'"
  (cd "$work/$1" && cmake --preset release -DASSAY_TESTS=OFF >build.log 2>&1 && cmake --build --preset release --target assay bench_models >>build.log 2>&1) ||
    { tail -n 30 "$work/$1/build.log" >&2; fail "'$2' does not build"; }
  echo "$work/$1/build/release/bin"
}

[[ ${ASSAY_SKIP_SETUP:-} == 1 ]] || ./scripts/setup.sh
base_bin=$(programs_of base "${positional[0]}")
new_bin=$(programs_of new "${positional[1]}")
assay=$new_bin/assay

out=reports/out/ci
rm -rf "$out"
mkdir -p "$out"
measured=0
"$assay" bench "${models[@]}" "${options[@]}" --program "base=$base_bin/bench_models" --program "new=$new_bin/bench_models" --records "$out/records.jsonl" || measured=$?
[[ $measured -ne 130 && -s $out/records.jsonl ]] || exit 3

read -r -a more <<<"${ASSAY_CI_COMPARE:-}"
status=0
"$assay" compare "$out/records.jsonl@base" "$out/records.jsonl@new" "${more[@]}" || status=$?
"$assay" compare "$out/records.jsonl@base" "$out/records.jsonl@new" "${more[@]}" --format md -o "$out/compare.md" || true
"$assay" compare "$out/records.jsonl@base" "$out/records.jsonl@new" "${more[@]}" --format junit -o "$out/compare.xml" || true
"$assay" report "$out/records.jsonl" -o "$out/report.html"

if [[ ${#positional[@]} -eq 2 && -s $baseline ]]; then
  facts=0
  measure_facts "$assay" "$out/facts.jsonl" || facts=$?
  "$assay" compare "$baseline" "$out/facts.jsonl" --facts-only --format md -o "$out/facts.md" || facts=$?
  echo "ci_bench: facts against $baseline:"
  "$assay" compare "$baseline" "$out/facts.jsonl" --facts-only || facts=$?
  [[ $facts -eq 0 || $status -eq 1 ]] || status=$facts
fi
[[ -z ${GITHUB_STEP_SUMMARY:-} ]] || cat "$out"/*.md >>"$GITHUB_STEP_SUMMARY"
[[ $status -ne 0 || $measured -eq 0 ]] || status=$measured
echo "ci_bench: wrote $out/"
exit "$status"
