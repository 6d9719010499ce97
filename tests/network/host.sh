# Makes a fresh set of namespaces a machine of its own, and stays: host.sh NAME DIRECTORY ADDRESS...
#
# What Samba keeps in fixed places is this machine's alone: /etc is a copy, the rest is empty. All of
# it is memory and goes with the namespaces; the machine underneath sees nothing of it.
set -eu
umask 022
name=$1
room=$2
shift 2

# /proc stays that of the machine underneath, so that it serves clients too, which run in these
# namespaces but not in the lab's pid namespace. This number is the one that the tests see.
read -r pid rest </proc/self/stat
hostname "$name"

mkdir "$room"
mount -t tmpfs lab "$room"
mkdir "$room/etc" "$room/run" "$room/lib" "$room/cache" "$room/log"
cp -a /etc/. "$room/etc"
mount --bind "$room/etc" /etc
mount --bind "$room/run" /run # sockets: two winbindd at one /run/samba take each other for one
mount --bind "$room/lib" /var/lib/samba
mount --bind "$room/cache" /var/cache/samba
mount --bind "$room/log" /var/log/samba
rm -rf /etc/samba /etc/krb5.keytab /etc/resolv.conf
mkdir -p /etc/samba /run/samba /var/lib/samba/private /run/data
chmod 1777 /run/data

echo "$pid"
read -r plugged # the keeper has put eth0 in
ip link set lo up
ip link set eth0 up
for address; do
    case $address in
    *:*) ip address add "$address" dev eth0 nodad ;; # usable at once; nobody else could have it
    *) ip address add "$address" dev eth0 ;;
    esac
done
echo ready
exec sleep infinity
