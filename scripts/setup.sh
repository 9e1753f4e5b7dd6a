#!/usr/bin/env bash
# Installs the Debian 12 packages Assay is built with; does nothing when none is missing.
set -euo pipefail

# Compiler and tools, then libraries. Boost is named with its version: Debian's default is 1.74, which has no JSON.
packages=(
  g++ cmake ninja-build pkg-config git ca-certificates python3
  libboost1.81-dev libboost-json1.81-dev libtbb-dev libeigen3-dev libssl-dev libfmt-dev libcli11-dev
  libpcre2-dev libutf8proc-dev libbenchmark-dev libgtest-dev
  clang-14 libclang-rt-14-dev
  libsqlite3-dev libyaml-cpp-dev libjs-chart.js chromium
  nginx-light openssl python3-filelock python3-jinja2 qemu-user
  libvulkan-dev libvulkan-volk-dev glslc spirv-tools mesa-vulkan-drivers vulkan-validationlayers
)

usage() {
  cat <<'TEXT'
Usage: scripts/setup.sh [--check]

Installs the packages that Assay needs on Debian 12 and that are not installed yet (with sudo when not root).
Prints what it installs; when nothing is missing it says so and touches nothing.

  --check   install nothing; exit 1 and name the packages when some are missing
  --help    this text

Exit codes: 0 everything is there, 1 something is missing (--check), 2 usage, 3 could not install.
TEXT
}

fail() {
  echo "setup: error: $*" >&2
  exit 3
}

check_only=no
for argument in "$@"; do
  case "$argument" in
    --check) check_only=yes ;;
    -h | --help) usage; exit 0 ;;
    *) echo "setup: error: unknown argument '$argument'; see scripts/setup.sh --help" >&2; exit 2 ;;
  esac
done

os_release=${ASSAY_OS_RELEASE:-/etc/os-release}
system=$(. "$os_release" 2>/dev/null && echo "${ID:-unknown} ${VERSION_ID:-}") || system=$(uname -s)
if [[ $system != "debian 12" ]] || ! command -v dpkg-query >/dev/null; then
  fail "this script knows the packages of Debian 12, and this is '$system'. Install what corresponds to:
  ${packages[*]}
then run the command again with ASSAY_SKIP_SETUP=1."
fi

installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${packages[@]}" 2>/dev/null || true)
missing=()
for package in "${packages[@]}"; do
  grep -qxF "$package installed" <<<"$installed" || missing+=("$package")
done

if [[ ${#missing[@]} -eq 0 ]]; then
  echo "setup: nothing to install, all ${#packages[@]} packages are there"
  exit 0
fi
if [[ $check_only == yes ]]; then
  echo "setup: ${#missing[@]} of ${#packages[@]} packages are missing: ${missing[*]}"
  exit 1
fi

as_root=()
if [[ $(id -u) -ne 0 ]]; then
  command -v sudo >/dev/null ||
    fail "installing needs root, and there is no sudo. Run as root: apt-get install ${missing[*]}"
  as_root=(sudo)
  [[ -t 0 ]] || as_root=(sudo -n) # nobody is there to type a password
  echo "setup: using sudo to run apt-get"
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Mirrors hiccup: every apt-get step is tried twice. What apt-get says is only of interest when it fails.
apt() {
  local command=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@")
  "${command[@]}" </dev/null >"$log" 2>&1 && return
  echo "setup: 'apt-get $1' failed; trying once more in ${ASSAY_RETRY_SECONDS:-10} seconds" >&2
  sleep "${ASSAY_RETRY_SECONDS:-10}"
  "${command[@]}" </dev/null >"$log" 2>&1 && return
  tail -n 30 "$log" >&2
  return 1
}

echo "setup: installing ${#missing[@]} packages, which takes a minute or two: ${missing[*]}"
apt update || fail "apt-get update failed twice; check the network and the apt sources"
apt install -y --no-install-recommends "${missing[@]}" || fail "apt-get install failed twice; the end of its messages is above"
echo "setup: installed"
