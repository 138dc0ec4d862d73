#!/usr/bin/env bash
# Runs one command on every worker of a Cloud TPU VM, and again after a failure.
#
#   launch/pod.sh --tpu=NAME --zone=ZONE [--project=PROJECT] [--dir=morning_jax]
#     [--restarts=20] -- COMMAND ...
#
# Example:
#   launch/pod.sh --tpu=my-tpu --zone=us-west4-a -- \
#     .venv/bin/python -m launch.train --config=configs/morning.py:pod \
#     --workdir=/mnt/bucket/runs/mine
#
# The command runs in --dir of each worker's home folder; every line it prints
# carries the worker's number. What a worker ends with decides what happens:
#   0                 it is done, or was stopped by SIGTERM and has saved
#   2                 the command is a mistake: all end, and so does this
#   75, any other one all are ended and start again; a run with --workdir on
#                     storage that they share goes on from its newest checkpoint
#
# Ends with 0 when all workers have; with 2 when a worker has, or gcloud can not
# describe the TPU; with 75 when the TPU is gone (preempted), also where that
# stopped the workers well: create it again, then run the same line; with 1 when
# --restarts are used up, or gcloud fails for long between two of them; with 130
# after Ctrl-C or SIGTERM, which the workers get too: they save before they stop.
set -uo pipefail

usage() { sed -n '2,/^set/{s/^# \{0,1\}//;/^set/!p}' "$0"; }
fail() {
  echo "error: $1" >&2
  exit 2
}

tpu='' zone='' project='' dir='morning_jax' restarts=20
while [ $# -gt 0 ]; do
  case $1 in
    --tpu=*) tpu=${1#*=} ;;
    --zone=*) zone=${1#*=} ;;
    --project=*) project=${1#*=} ;;
    --dir=*) dir=${1#*=} ;;
    --restarts=*) restarts=${1#*=} ;;
    -h | --help)
      usage
      exit 0
      ;;
    --)
      shift
      break
      ;;
    *) fail "unexpected argument '$1'; options have the form --name=value, and the command follows --" ;;
  esac
  shift
done
[ -n "$tpu" ] || fail '--tpu=NAME is missing; launch/pod.sh --help shows an example'
[ -n "$zone" ] || fail '--zone=ZONE is missing; launch/pod.sh --help shows an example'
[ $# -gt 0 ] || fail 'no command after --'
[[ $restarts =~ ^[0-9]{1,9}$ ]] || fail "--restarts=$restarts is no number"
restarts=$((10#$restarts)) # 08 is no octal number
command -v gcloud >/dev/null || fail 'gcloud is not installed; see https://cloud.google.com/sdk/docs/install'

where=("$tpu" "--zone=$zone")
[ -z "$project" ] || where+=("--project=$project")

said=$(mktemp)
trap 'rm -f "$said"' EXIT

pause() { sleep "${POD_RESTART_SECONDS:-10}"; }

# Asks gcloud for one thing about the TPU and sets `answer`; ends where the TPU is
# gone or gcloud fails. Between two attempts a failure may pass: it asks again.
describe() {
  local left=$((attempt > 0 ? 5 : 0))
  until answer=$(gcloud compute tpus tpu-vm describe "${where[@]}" --format="value($1)" </dev/null 2>"$said"); do
    if [ -n "$stopping" ]; then exit 130; fi
    cat "$said" >&2
    if grep -q NOT_FOUND "$said"; then is_gone gone; fi
    if [ "$attempt" -eq 0 ]; then fail "gcloud can not describe the TPU $tpu"; fi
    if [ "$left" -eq 0 ]; then
      echo "gave up: gcloud can not describe the TPU $tpu" >&2
      exit 1
    fi
    left=$((left - 1))
    pause
  done
}

is_gone() {
  echo "the TPU $tpu is $1; create it again, then run the same command: it goes on from the newest checkpoint" >&2
  exit 75
}

# Runs a script on one worker; stdin stays closed, so that ssh does not take ours.
on_worker() {
  gcloud compute tpus tpu-vm ssh "${where[@]}" --worker="$1" --command="$2" </dev/null
}

# On a worker the command is a session of its own: it outlives a lost connection,
# and whoever comes next can end it by the number in a file of the home folder.
# The number counts until the worker is rebooted.
boot_id=/proc/sys/kernel/random/boot_id
record() { printf '"$HOME"/%q' ".morning-pod-$tpu-$1.pid"; }

# Ends a worker's command and waits for its last process; nothing where none runs.
end_command() { # worker, signal, seconds to wait
  local file
  file=$(record "$1")
  printf 'if { read -r p boot <%s; } 2>/dev/null && [ "$boot" = "$(cat %s)" ]; then kill -%s -- -$p 2>/dev/null; for i in $(seq %s); do kill -0 -- -$p 2>/dev/null || break; sleep 0.1; done; kill -KILL -- -$p 2>/dev/null; rm -f %s; fi; true' \
    "$file" "$boot_id" "$2" "$(($3 * 10))" "$file"
}

start_command() { # worker, command ...
  local worker=$1 file
  file=$(record "$worker")
  shift
  # %q for all that the user wrote: the worker's shell reads it once more.
  printf '%s; cd -- %q || { printf "%%s\\n" %q >&2; exit 2; }; setsid bash -c %q pod %s & wait $!' \
    "$(end_command "$worker" TERM 5)" "$dir" \
    "error: no folder $dir on worker $worker; copy the project there first" \
    "echo \$\$ \$(cat $boot_id) > $file; exec \"\$@\"" "$(printf '%q ' "$@")"
}

workers=0
stopping=''
pids=() enders=()

# Has each worker that still runs end its command. To be called again until all
# have: one that was still starting has no record yet, and a connection may fail.
end_workers() {
  local w
  for ((w = 0; w < workers; w++)); do
    if [ -z "${pids[w]}" ] || kill -0 "${enders[w]:-none}" 2>/dev/null; then continue; fi
    on_worker "$w" "$(end_command "$w" TERM "$1")" >/dev/null 2>&1 &
    enders[w]=$!
  done
}

stop_all() {
  [ -n "$stopping" ] || echo 'stopping all workers; they save first' >&2
  stopping=1
}
trap stop_all INT TERM

for ((attempt = 0; attempt <= restarts; attempt++)); do
  if [ -n "$stopping" ]; then exit 130; fi
  describe state
  [ "$answer" = READY ] || is_gone "${answer:-gone}"
  describe 'networkEndpoints[].ipAddress'
  workers=$(tr ';,' '\n\n' <<<"$answer" | grep -c .)
  [ "$workers" -gt 0 ] || fail "gcloud lists no worker of $tpu"
  pids=() enders=()
  for ((w = 0; w < workers; w++)); do
    on_worker "$w" "$(start_command "$w" "$@")" \
      > >(sed -u "s/^/[$w] /") 2> >(sed -u "s/^/[$w] /" >&2) &
    pids[w]=$!
  done
  worst=0 left=$workers ending=''
  while [ "$left" -gt 0 ]; do
    sleep 0.2
    for ((w = 0; w < workers; w++)); do
      if [ -z "${pids[w]}" ] || kill -0 "${pids[w]}" 2>/dev/null; then continue; fi
      wait "${pids[w]}"
      code=$?
      pids[w]='' left=$((left - 1))
      # What a worker that is being ended ends with says nothing of the command.
      if [ "$code" -eq 0 ] || [ -n "$ending$stopping" ]; then continue; fi
      [ "$worst" -eq 2 ] || worst=$code
      echo "worker $w ended with code $code" >&2
    done
    [ "$worst" -eq 0 ] || ending=1
    if [ -n "$stopping" ]; then
      end_workers 120
    elif [ -n "$ending" ]; then
      end_workers 10 # the others can't go on without it
    fi
  done
  # An end that is still on its way must not meet the next start.
  for ender in "${enders[@]}"; do wait "$ender"; done
  if [ -n "$stopping" ]; then exit 130; fi
  if [ "$worst" -eq 0 ]; then
    # A TPU that is taken away stops its workers first, and they end well.
    if answer=$(gcloud compute tpus tpu-vm describe "${where[@]}" --format='value(state)' </dev/null 2>/dev/null) &&
      [ -n "$answer" ] && [ "$answer" != READY ]; then
      is_gone "$answer"
    fi
    exit 0
  fi
  if [ "$worst" -eq 2 ]; then exit 2; fi
  [ "$attempt" -lt "$restarts" ] || break
  echo "restart $((attempt + 1)) of $restarts" >&2
  pause
done
echo "gave up after $restarts restarts" >&2
exit 1
