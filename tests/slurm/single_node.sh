#!/bin/sh
# A SLURM cluster of one node, this machine, in one folder: to test against, not to compute on.
#   single_node.sh start FOLDER    then: export SLURM_CONF=FOLDER/slurm.conf
#   single_node.sh stop FOLDER     ends its daemons and jobs; the folder may be removed
# Needs root and Debian's packages slurm-wlm and munge. It touches nothing outside FOLDER.
set -eu

PATH="$PATH:/usr/sbin:/sbin"
action=${1:?start or stop}
folder=$(mkdir -p "${2:?a folder}" && cd "$2" && pwd)
host=$(hostname -s)
export SLURM_CONF="$folder/slurm.conf"

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

write_configuration() {
  mkdir -p "$folder/state" "$folder/spool"
  (umask 077 && head -c 1024 /dev/urandom > "$folder/munge.key")
  cat > "$SLURM_CONF" << EOF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
# What a container has: no cgroups.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
# Four jobs at a time, however few cores there are.
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 RealMemory=16000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
ReturnToService=2
KillWait=5
MinJobAge=600
EOF
  # Before 23.02 this word is unknown, and slurmd starts without cgroups by itself.
  if [ "$(slurmd -V | sed 's/[^0-9]*\([0-9]*\).*/\1/')" -ge 23 ]; then
    echo "CgroupPlugin=disabled" > "$folder/cgroup.conf"
  fi
}

end() { # of a daemon, by its own number
  [ -s "$folder/$1.pid" ] || return 0
  daemon=$(cat "$folder/$1.pid")
  kill "$daemon" 2> /dev/null || return 0
  for _ in $(seq 50); do kill -0 "$daemon" 2> /dev/null || return 0; sleep 0.1; done
  kill -9 "$daemon" 2> /dev/null || true
}

stop() {
  scancel --user="$(id -un)" 2> /dev/null || true
  for _ in $(seq 50); do
    [ -n "$(timeout 5 squeue --noheader 2> /dev/null)" ] || break
    sleep 0.2
  done
  end slurmd
  end slurmctld
  end munged
}

start() {
  write_configuration
  # By force: others may not reach the socket in a private folder, and nobody else should.
  munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" \
    --pid-file="$folder/munged.pid" --log-file="$folder/munged.log" \
    --seed-file="$folder/munged.seed" 2> "$folder/munged.said" || return 1
  slurmctld || return 1
  slurmd || return 1
  for _ in $(seq 100); do
    [ "$(timeout 5 sinfo --noheader --format=%T 2> /dev/null)" = idle ] && return 0
    sleep 0.2
  done
  return 1
}

case $action in
  start)
    if ! (start); then
      stop
      echo "the node did not come up: see the logs in $folder" >&2
      exit 1
    fi
    ;;
  stop)
    stop
    ;;
  *)
    echo "start or stop was wanted, $action came" >&2
    exit 2
    ;;
esac
