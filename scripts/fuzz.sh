#!/usr/bin/env bash
# Builds the fuzz targets with clang and runs each for a while; the exit status says whether anything was found.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'TEXT'
Usage: scripts/fuzz.sh [--seconds N] [--target NAME]... [--jobs N] [--keep] [--work FOLDER] [--nice N]

Builds the fuzz targets (preset fuzz: clang-14, libFuzzer, address and undefined-behaviour sanitizers) and runs them one
after another, beginning with the fixtures and the kept inputs of tests/fuzz/corpus/NAME.

  --seconds N     how long each target runs (default 60)
  --target NAME   only this one: gguf, safetensors, shard_index, config_json, tokenizer_json, gguf_tokenizer, chat_template
  --jobs N        so many targets run at the same time (default 1)
  --keep          afterwards keep what reached new code, minimised, in tests/fuzz/corpus/NAME (for a commit)
  --work FOLDER   where inputs grow and finds are put (default build/fuzz/work); a long run goes on where it stopped
  --nice N        lower priority (default 0)
  --help          this text

A find is written to WORK/NAME/finds/. To see it again: build/fuzz/bin/fuzz_NAME FILE. When it is fixed, copy it to
tests/fuzz/corpus/NAME: ctest replays that folder.

Exit codes: 0 nothing found, 1 a find, 2 usage, 3 could not build or run.
TEXT
}

fail_usage() {
  echo "fuzz: error: $*; see scripts/fuzz.sh --help" >&2
  exit 2
}

seconds=60
priority=0
jobs=1
keep=no
work=build/fuzz/work
targets=()
while [[ $# -gt 0 ]]; do
  option=$1
  case "$option" in
    -h | --help) usage; exit 0 ;;
    --keep) keep=yes; shift; continue ;;
    --seconds | --target | --jobs | --work | --nice) [[ $# -ge 2 ]] || fail_usage "$option needs a value" ;;
    *) fail_usage "unknown argument '$option'" ;;
  esac
  case "$option" in
    --seconds) seconds=$2 ;;
    --target) targets+=("$2") ;;
    --jobs) jobs=$2 ;;
    --work) work=$2 ;;
    --nice) priority=$2 ;;
  esac
  shift 2
done
[[ $seconds =~ ^[1-9][0-9]*$ ]] || fail_usage "--seconds needs a whole number from 1"
[[ $jobs =~ ^[1-9][0-9]*$ ]] || fail_usage "--jobs needs a whole number from 1"
known=(gguf safetensors shard_index config_json tokenizer_json gguf_tokenizer chat_template)
[[ ${#targets[@]} -gt 0 ]] || targets=("${known[@]}")
for target in "${targets[@]}"; do
  [[ " ${known[*]} " == *" $target "* ]] || fail_usage "unknown target '$target'"
done

command -v clang++-14 >/dev/null || { echo "fuzz: error: needs clang-14; scripts/setup.sh installs it" >&2; exit 3; }
programs=()
for target in "${targets[@]}"; do programs+=("fuzz_$target"); done
{ cmake --preset fuzz >/dev/null && cmake --build build/fuzz --target "${programs[@]}"; } || { echo "fuzz: error: the targets do not build" >&2; exit 3; }

# The files of the fixtures that a target reads, each under a name of its own.
gather_seeds() {
  local target=$1 to=$2 pattern folders
  case "$target" in
    gguf) pattern='*.gguf'; folders=(fixtures/corrupt fixtures/tokenizers) ;;
    safetensors) pattern='*.safetensors'; folders=(fixtures/corrupt fixtures/quant) ;;
    shard_index) pattern='*.index.json'; folders=(fixtures/corrupt fixtures/models) ;;
    config_json) pattern='config.json'; folders=(fixtures/corrupt fixtures/models fixtures/architectures) ;;
    tokenizer_json) pattern='tokenizer.json'; folders=(fixtures/corrupt fixtures/tokenizers fixtures/models) ;;
    *) return 0 ;;
  esac
  local file number=0
  while IFS= read -r -d '' file; do
    number=$((number + 1))
    cp "$file" "$to/seed-$number"
  done < <(find "${folders[@]}" -name "$pattern" -type f -size -64k -print0 | sort -z)
}

# Runs one target; fails if it found something.
run_target() {
  local target=$1 home=$work/$1 log=$work/$1/log.txt folders before after input
  mkdir -p "$home/inputs" "$home/seeds" "$home/finds"
  gather_seeds "$target" "$home/seeds"
  folders=("$home/inputs" "$home/seeds")
  [[ -d tests/fuzz/corpus/$target ]] && folders+=("tests/fuzz/corpus/$target")
  before=$(find "$home/finds" -type f | wc -l)
  echo "fuzz: $target for $seconds s"
  nice -n "$priority" build/fuzz/bin/fuzz_"$target" "${folders[@]}" -max_total_time="$seconds" -max_len=65536 -timeout=20 \
    -rss_limit_mb=2500 -artifact_prefix="$home/finds/" -print_final_stats=1 -verbosity=1 >"$log" 2>&1 || true
  after=$(find "$home/finds" -type f | wc -l)
  grep -E 'stat::number_of_executed_units' "$log" | sed "s/.*: */fuzz: $target executions /" || true
  if [[ $keep == yes ]]; then
    mkdir -p "$home/small" "tests/fuzz/corpus/$target"
    rm -f "$home/small"/*
    build/fuzz/bin/fuzz_"$target" -merge=1 "$home/small" "$home/seeds" "tests/fuzz/corpus/$target" "$home/inputs" >"$home/merge.txt" 2>&1 || true
    # The seeds are in the tree already, and a kept input should be small.
    for input in "$home/small"/*; do
      [[ -f $input && $(stat -c %s "$input") -le 2048 ]] && cp "$input" "tests/fuzz/corpus/$target/"
    done
    echo "fuzz: $target keeps $(find "tests/fuzz/corpus/$target" -type f | wc -l) inputs"
  fi
  if [[ $after -gt $before ]] || ! grep -q '^Done ' "$log"; then
    echo "fuzz: $target FOUND something; the end of $log:"
    tail -n 40 "$log"
    return 1
  fi
}

# What runs in the background would not hear of Ctrl-C.
trap 'trap - TERM; kill 0' INT TERM
found=0 running=0
for target in "${targets[@]}"; do
  if [[ $running -ge $jobs ]]; then
    wait -n || found=1
    running=$((running - 1))
  fi
  run_target "$target" &
  running=$((running + 1))
done
for ((; running > 0; running--)); do wait -n || found=1; done
exit $found
