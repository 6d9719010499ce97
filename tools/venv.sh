#!/bin/sh
# Makes a virtual environment that can build the extension: venv.sh PYTHON FOLDER
#
# Debian splits Python: where its venv module or its headers are missing, they are installed when
# this runs as root, and named when it does not.
set -eu

python=$1
folder=$2

usable() {
    "$python" -c 'import ensurepip, os, sys, sysconfig
if sys.version_info < (3, 11):
    sys.exit("netsession needs Python 3.11 or later")
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' 2>/dev/null
}

if ! usable; then
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        echo "$python is too old: netsession needs Python 3.11 or later (make PYTHON=...)" >&2
        exit 1
    }
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing python3-venv and python3-dev"
        apt-get -qq update
        DEBIAN_FRONTEND=noninteractive apt-get -qq install -y python3-venv python3-dev >/dev/null
    fi
    usable || {
        echo "$python lacks its venv module or its headers." >&2
        echo "On Debian: sudo apt-get install python3-venv python3-dev" >&2
        exit 1
    }
fi

"$python" -m venv "$folder"
# Dependency groups need pip 25.1 or later.
"$folder/bin/python" -m pip -q --disable-pip-version-check install -U 'pip>=25.1'
