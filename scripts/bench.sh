#!/usr/bin/env bash
# Installs what is missing, builds the benchmarks, checks and measures models, prints a table and writes reports/out/.
set -euo pipefail
called_from=$PWD
cd "$(dirname "$0")/.."

usage() {
  cat <<'TEXT'
Usage: scripts/bench.sh [MODEL...] [-- BENCH_MODELS_OPTION...]

Installs missing packages (scripts/setup.sh), builds the release preset, opens each MODEL, checks its answer, and measures prefill,
decode and load. A MODEL is a GGUF or safetensors file or a model folder; without one, the models in fixtures/ are measured.
What follows -- goes to bench_models, for example --benchmark_min_time=2 (see bench_models --help).

Writes to reports/out/: models.jsonl (one record a line), models.md (the table), and benchmark/*.json (Google Benchmark's form).

  --help   this text

Exit codes: 0 all measured, 1 a model gave a wrong answer, 2 usage, 3 something could not be done (install, build, open).
Environment: ASSAY_SKIP_SETUP=1 leaves the packages alone.
TEXT
}

models=()
options=()
while [[ $# -gt 0 ]]; do
  case "$1" in
    -h | --help) usage; exit 0 ;;
    --) shift; options=("$@"); break ;;
    -*) echo "bench: error: unknown argument '$1'; see scripts/bench.sh --help (options for bench_models go after --)" >&2; exit 2 ;;
    *)
      # A relative path is meant from where the script was called.
      if [[ $called_from != "$PWD" && -e $called_from/$1 ]]; then models+=("$called_from/$1"); else models+=("$1"); fi
      ;;
  esac
  shift
done

# The fixtures come with golden logits; any other model is checked against the reference backend.
golden_of() {
  local golden=fixtures/golden/nano-frankenstein
  case "$1" in
    fixtures/models/nano-frankenstein/gguf/*-Q4_K_M.gguf) echo "$golden/logits_q4_k_m.f32.bin" ;;
    fixtures/models/nano-frankenstein/mlx-4bit) echo "$golden/logits_mlx4.f32.bin" ;;
    fixtures/models/nano-frankenstein/*) echo "$golden/logits.f32.bin" ;;
    fixtures/models/tiny-frankenstein/gguf/*-Q4_K_M.gguf) echo fixtures/golden/tiny-frankenstein/logits_q4_k_m.f32.bin ;;
  esac
}
if [[ ${#models[@]} -eq 0 ]]; then
  nano=fixtures/models/nano-frankenstein
  models=("$nano"/gguf/*.gguf "$nano/hf-sharded" "$nano/mlx-4bit" fixtures/models/tiny-frankenstein/gguf/*.gguf)
fi

[[ ${ASSAY_SKIP_SETUP:-} == 1 ]] || ./scripts/setup.sh
started=$SECONDS
cmake --preset release || exit 3
cmake --build --preset release --target assay bench_models || exit 3
echo "bench: release build ready after $((SECONDS - started)) s"

bin=build/release/bin
out=reports/out
rm -rf "$out"/models.{jsonl,md} "$out/benchmark"
mkdir -p "$out/benchmark"

echo
echo "bench: opening ${#models[@]} models"
opened=()
for model in "${models[@]}"; do
  # The program says on stderr what is wrong with a file it cannot open; the others are still measured.
  if "$bin/assay" info "$model" >"$out/info.txt"; then
    opened+=("$model")
    echo "  ok   $model"
  else
    echo "  FAIL $model"
  fi
done
rm -f "$out/info.txt"

status=0
[[ ${#opened[@]} -eq ${#models[@]} ]] || status=3

# A process for each model: none profits from what another has warmed, and each peak is its own.
for index in "${!opened[@]}"; do
  model=${opened[index]}
  name=$(basename "$model")
  arguments=("$model" --records "$out/models.jsonl" --benchmark_out="$out/benchmark/$((index + 1))-${name%.*}.json")
  golden=$(golden_of "$model")
  [[ -z $golden ]] || arguments+=(--check-against "$golden")
  echo
  echo "bench: $model"
  measured=0
  "$bin/bench_models" "${arguments[@]}" "${options[@]}" </dev/null || measured=$?
  [[ $measured -le $status ]] || status=$measured
  [[ $measured -ne 130 ]] || exit 130
done
[[ -e $out/models.jsonl ]] || exit "$status"

echo
python3 -B scripts/bench_table.py "$out/models.jsonl" | tee "$out/models.md"
echo
echo "bench: wrote $out/models.jsonl, $out/models.md and ${#opened[@]} files in $out/benchmark/"
exit "$status"
