#!/bin/sh
# Installs what the Makefile needs of the system, quietly where it is there already:
#   install.sh venv DIRECTORY   a virtual environment
#   install.sh servers          the XMPP servers, nginx and Chromium that the tests run against
#   install.sh page             the page's copy of Strophe.js
#   install.sh clients          the XMPP clients of tests/e2e
# Debian packages are installed as root or through sudo. What cannot be had is named, and the tests that need it are
# skipped (with CI=true they fail).
set -eu

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

can_install() {
	command -v apt-get >/dev/null 2>&1 && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }
}

apt_install() {
	if ! can_install; then
		echo "not installed: $* (needs apt-get, and root or sudo)" >&2
		return 0
	fi
	echo "installing $*"
	# A package must not start its server here: the tests start their own, on ports of their own.
	policy=/usr/sbin/policy-rc.d
	made=no
	if [ ! -e $policy ]; then
		printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
		as_root chmod +x $policy
		made=yes
	fi
	status=0
	{
		as_root apt-get update -q &&
			as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
	} >/tmp/boshgate-apt.$$ 2>&1 </dev/null || status=$?
	[ $made = no ] || as_root rm -f $policy
	[ $status = 0 ] || {
		cat /tmp/boshgate-apt.$$ >&2
		echo "not installed: $* (apt-get failed)" >&2
	}
	rm -f /tmp/boshgate-apt.$$
}

have() {
	command -v "$1" >/dev/null 2>&1 || PATH=/usr/sbin:/sbin:/usr/local/sbin command -v "$1" >/dev/null 2>&1
}

case "${1-}" in
venv)
	if ! "$PYTHON" -m venv "$2" >/dev/null 2>&1; then
		apt_install python3-venv python3-pip
		"$PYTHON" -m venv --clear "$2"
	fi
	;;
servers)
	missing=""
	have prosody || missing="$missing prosody"
	have ejabberdctl || missing="$missing ejabberd"
	have nginx || missing="$missing nginx-light"
	have chromium || missing="$missing chromium"
	# Playwright, which drives Chromium, brings a program that needs it.
	PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null | grep -q libatomic.so.1 || missing="$missing libatomic1"
	# shellcheck disable=SC2086  # a list of words
	[ -z "$missing" ] || apt_install $missing
	;;
page)
	if command -v npm >/dev/null 2>&1; then
		npm ci --prefix static --no-audit --no-fund
		npm run --silent build --prefix static
	else
		echo "not installed: Strophe.js for the page (needs npm); the gateway runs, and the page says what it lacks" >&2
	fi
	;;
clients)
	if command -v npm >/dev/null 2>&1; then
		npm ci --prefix tests/e2e
	else
		echo "not installed: the clients of tests/e2e (needs npm)" >&2
	fi
	;;
*)
	echo "usage: $0 venv DIRECTORY | servers | page | clients" >&2
	exit 2
	;;
esac
