#!/usr/bin/env bash
# Formats the C++ sources with clang-format 14 and the rules of .clang-format.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'TEXT'
Usage: scripts/format.sh [--check] [FILE...]

Formats the given C++ files, or all of the project, in place with clang-format 14 (package clang-format-14).

  --check   change nothing; exit 1 and name the places when something is not formatted
  --help    this text
TEXT
}

mode=(-i)
files=()
for argument in "$@"; do
  case "$argument" in
    --check) mode=(--dry-run -Werror) ;;
    -h | --help) usage; exit 0 ;;
    -*) echo "format: error: unknown argument '$argument'; see scripts/format.sh --help" >&2; exit 2 ;;
    *) files+=("$argument") ;;
  esac
done

formatter=$(command -v clang-format-14 || command -v clang-format || true)
if [[ -z $formatter || $("$formatter" --version) != *"version 14."* ]]; then
  echo "format: error: needs clang-format 14 (other versions format differently); on Debian 12: apt-get install clang-format-14" >&2
  exit 3
fi
if [[ ${#files[@]} -eq 0 ]]; then
  mapfile -t files < <(git ls-files --cached --others --exclude-standard -- '*.h' '*.cpp' | sort -u)
fi
# Git lists a file that was deleted and not committed yet; there is nothing to format then.
present=()
for file in "${files[@]}"; do [[ -e $file ]] && present+=("$file"); done
[[ ${#present[@]} -gt 0 ]] || exit 0

status=0
printf '%s\0' "${present[@]}" | xargs -0 -n 16 -P 2 "$formatter" "${mode[@]}" || status=1
exit "$status"
