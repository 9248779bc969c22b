# Sourced by ./run and ./test: installs the Debian packages of third_party/packages.txt that are
# missing. Needs nothing but bash, dpkg and apt-get. A second run installs nothing.

# Prints the packages of the given groups that are not installed.
missing_packages() {
  local list=$1 groups=" $2 " name group unless
  local -a wanted=()
  while read -r name group unless _; do
    [[ -z $name || $name == \#* || $groups != *" $group "* ]] && continue
    [[ $unless && $unless != \#* ]] && command -v "$unless" >/dev/null && continue
    wanted+=("$name")
  done <"$list"
  local installed
  # It fails where one of them is unknown, which under `set -e` would end this silently.
  installed=" $(dpkg-query -W -f='${db:Status-Status}=${Package} ' "${wanted[@]}" 2>/dev/null || true) "
  for name in "${wanted[@]}"; do
    [[ $installed == *" installed=$name "* ]] || echo "$name"
  done
}

# install_packages LIST GROUPS LOG: installs what is missing; says what it does on stderr.
install_packages() {
  local list=$1 groups=$2 log=$3
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "Kartograph builds on Debian 12 (bookworm); this machine has no dpkg and apt-get." >&2
    return 1
  fi
  local -a missing
  mapfile -t missing < <(missing_packages "$list" "$groups")
  ((${#missing[@]})) || return 0

  local release
  release=$(. /etc/os-release 2>/dev/null && echo "${ID:-unknown} ${VERSION_ID:-}")
  if [[ $release != "debian 12" ]]; then
    echo "Kartograph installs its packages on Debian 12 only; this is $release. Missing here:" >&2
    echo "  ${missing[*]}" >&2
    return 1
  fi
  local -a as_root=()
  if ((EUID != 0)); then
    if ! command -v sudo >/dev/null; then
      echo "Some packages are missing, and installing them takes root or sudo. As root, run:" >&2
      echo "  apt-get update && apt-get install --no-install-recommends ${missing[*]}" >&2
      return 1
    fi
    as_root=(sudo)
  fi

  mkdir -p "$(dirname "$log")"
  echo "Installing ${#missing[@]} Debian packages (log: $log)" >&2
  echo "  ${missing[*]}" >&2
  local -a apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -o Dpkg::Use-Pty=0
    -o DPkg::Lock::Timeout=300)
  if ! { "${apt[@]}" update &&
    "${apt[@]}" install --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
    echo "The installation failed. The end of its log:" >&2
    tail -n 15 "$log" >&2
    return 1
  fi
  mapfile -t missing < <(missing_packages "$list" "$groups")
  if ((${#missing[@]})); then
    echo "Still missing after the installation (see $log): ${missing[*]}" >&2
    return 1
  fi
}
