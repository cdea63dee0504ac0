/// The shell that runs a lab from inside: process 1 of the lab's process namespace.
///
/// It reads one command a line, `NUMBER COMMAND`, and answers `done NUMBER STATUS`; of processes in the machines it tells
/// `pid ID PID` and `exit ID STATUS`. When its input ends, because the test closed it or died in whatever way, process 1
/// ends, and the kernel ends everything else: processes, mounts, network namespaces.
enum LabScript {
  static let text = #"""
    lab=$1
    exec 3>&1 1>>"$lab/supervisor.log" 2>&1
    declare -A holders ports

    prepare() {
      mount --make-rprivate / && mount -t sysfs sysfs /sys
      ip link set lo up && ip link add hub type bridge stp_state 0 forward_delay 0 mcast_snooping 0 &&
        sysctl -qw net.ipv6.conf.hub.disable_ipv6=1 && ip link set hub up
    }

    # machine NAME NUMBER: its namespaces, its link to the hub. The holder keeps the namespaces alive.
    machine() {
      local name=$1 number=$2 dir=$lab/$1 mac
      mac=$(printf '02:4d:00:00:00:%02x' "$number")
      mkfifo "$dir/ready" || return
      unshare --net --mount --uts bash -c '
        hostname "$1" && mount -t tmpfs -o mode=755 tmpfs /run && mount -t sysfs sysfs /sys &&
        mkdir -p /run/dbus /run/avahi-daemon && mkdir -m 700 /run/user &&
        mount --bind "$2/passwd" /etc/passwd && mount --bind "$2/group" /etc/group && ip link set lo up
        echo $? >"$2/ready"
        exec sleep infinity 3>&-' holder "$name" "$dir" &
      holders[$name]=$! ports[$name]=port$number
      [ "$(cat "$dir/ready")" = 0 ] &&
        ip link add "port$number" type veth peer name eth0 netns "${holders[$name]}" &&
        ip link set "port$number" master hub up &&
        within "$name" sysctl -qw net.ipv6.conf.eth0.accept_dad=0 &&
        within "$name" ip link set eth0 address "$mac" up &&
        within "$name" ip address add "10.77.0.$number/24" brd + dev eth0
    }

    within() {
      local name=$1
      shift
      nsenter --target "${holders[$name]}" --net --mount --uts "$@"
    }

    # spawn ID NAME COMMAND...: starts a process in a machine, with the machine's environment.
    spawn() {
      local id=$1 name=$2 dir=$lab/$2
      shift 2
      (
        nsenter --target "${holders[$name]}" --net --mount --uts env --chdir="$dir/home" -i \
          HOME="$dir/home" USER=root LOGNAME=root LANG=C.UTF-8 TMPDIR="$dir/tmp" XDG_RUNTIME_DIR=/run/user \
          PATH="$lab/bin:$PATH" "$@" </dev/null >"$dir/$id.out" 2>"$dir/$id.err" 3>&- &
        echo "pid $id $!" >&3
        wait $!
        echo "exit $id $?" >&3
      ) &
    }

    # everyone NAME SIGNAL: to all processes of a machine but its holder.
    everyone() {
      local home process
      home=$(readlink "/proc/${holders[$1]}/ns/mnt")
      for process in /proc/[0-9]*; do
        [ "$(readlink "$process/ns/mnt")" = "$home" ] && [ "${process#/proc/}" != "${holders[$1]}" ] &&
          kill -s "$2" "${process#/proc/}"
      done
      return 0
    }

    # partition add|delete NAME NAME: frames between two machines are lost, unseen by both.
    partition() {
      if ! nft list table bridge lab >/dev/null 2>&1; then
        nft add table bridge lab && nft add set bridge lab apart '{ type ifname . ifname; }' &&
          nft add chain bridge lab forward '{ type filter hook forward priority 0; }' &&
          nft add rule bridge lab forward meta iifname . meta oifname @apart drop || return
      fi
      nft "$1" element bridge lab apart "{ ${ports[$2]} . ${ports[$3]}, ${ports[$3]} . ${ports[$2]} }"
    }

    # shape NAME BITS BURST QUEUE: a bottleneck both ways, with bytes that pass at once and milliseconds of waiting; 0 bits
    # take it away.
    shape() {
      local limit="tbf rate ${2}bit burst ${3} latency ${4}ms"
      if [ "$2" = 0 ]; then
        tc qdisc del dev "${ports[$1]}" root && within "$1" tc qdisc del dev eth0 root
      else
        tc qdisc replace dev "${ports[$1]}" root $limit && within "$1" tc qdisc replace dev eth0 root $limit
      fi
    }

    counters() { cat "/sys/class/net/${ports[$1]}/statistics/"{rx_bytes,tx_bytes}; }

    prepare
    echo "done 0 $?" >&3
    while IFS= read -r line; do
      number=${line%% *}
      eval "${line#* }" </dev/null >"$lab/replies/$number.out" 2>"$lab/replies/$number.err"
      echo "done $number $?" >&3
    done
    exec 2>/dev/null
    kill -s KILL -- -1
    wait
    [ -e "$lab/keep" ] || rm -rf "$lab"
    """#

  /// What a lab needs from the kernel, tried in namespaces that end with it. Prints what failed.
  static func trial(_ features: Set<LabFeature>) -> String {
    var text = """
      exec 2>&1
      mount --make-rprivate / && mount -t tmpfs tmpfs /run && ip link add hub type bridge || exit 1
      unshare --net --mount --uts true || exit 1
      ip link add port1 type veth peer name eth0 && ip link set port1 master hub || exit 1
      """
    if features.contains(.partition) {
      text += "\nnft add table bridge lab && nft add set bridge lab s '{ type ifname . ifname; }' || exit 1"
    }
    if features.contains(.shaping) {
      text += "\ntc qdisc add dev port1 root tbf rate 10mbit burst 256kb latency 50ms || exit 1"
    }
    if features.contains(.loopDisk) {
      text += """

        truncate -s 8M /run/disk && mkfs.ext4 -q /run/disk && mkdir /run/mounted || exit 1
        mount -o loop /run/disk /run/mounted && umount /run/mounted || exit 1
        """
    }
    return text
  }

  static let busConfiguration = """
    <busconfig>
      <type>system</type>
      <listen>unix:path=/run/dbus/system_bus_socket</listen>
      <auth>EXTERNAL</auth>
      <policy context="default">
        <allow send_destination="*" eavesdrop="true"/>
        <allow eavesdrop="true"/>
        <allow own="*"/>
        <allow user="*"/>
      </policy>
    </busconfig>
    """

  static func avahiConfiguration(host: String) -> String {
    """
    [server]
    host-name=\(host)
    use-ipv4=yes
    use-ipv6=yes
    [wide-area]
    enable-wide-area=no
    [publish]
    publish-hinfo=no
    publish-workstation=no
    """
  }

  /// Only user 0 exists in a user namespace, and the daemon looks up and chowns to `avahi`.
  static let users = "root:x:0:0:root:/root:/bin/sh\navahi:x:0:0::/run/avahi-daemon:/usr/sbin/nologin\n"
  static let groups = "root:x:0:\navahi:x:0:\nnetdev:x:0:\n"
}
