#!/bin/bash
# A build on several nodes, by a Ray of this job alone: sbatch ray.sh INPUT M.memo
#
# Other Rays may run on these nodes, other users' among them: this one has ports by the job's number, a token that only
# this user can read, and its own directory for temporary files. `ray stop` ends every Ray of a user, so nothing here
# calls it: the steps that run Ray are ended, and with them what they have started.
#SBATCH --job-name=memo-ray
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --mem=64G
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@180
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
set -u
input=$1 out=$2
cpus=${SLURM_CPUS_PER_TASK:-1}

base=$((20000 + SLURM_JOB_ID % 400 * 100)) # a hundred ports of its own
export RAY_TMPDIR=/tmp/ray_$SLURM_JOB_ID   # short: names of sockets are limited
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$PWD/.ray-token-$SLURM_JOB_ID RAY_USAGE_STATS_ENABLED=0
(umask 077 && od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > "$RAY_AUTH_TOKEN_PATH") # the directory is shared by nodes
ports="--node-manager-port=$((base + 1)) --object-manager-port=$((base + 2)) --runtime-env-agent-port=$((base + 3))
 --dashboard-agent-grpc-port=$((base + 4)) --dashboard-agent-listen-port=$((base + 5))
 --metrics-export-port=$((base + 6)) --ray-client-server-port=$((base + 7))
 --min-worker-port=$((base + 10)) --max-worker-port=$((base + 99))"

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=$(getent ahostsv4 "${nodes[0]}" | awk '{print $1; exit}')
srun --overlap --nodes=1 --ntasks=1 --nodelist="${nodes[0]}" --cpus-per-task="$cpus" \
  ray start --head --block --node-ip-address="$head" --port="$base" --num-cpus="$cpus" --include-dashboard=false \
  $ports &
steps=$!
if [ "${#nodes[@]}" -gt 1 ]; then
  others=$(IFS=, && echo "${nodes[*]:1}")
  # a node that comes before the head asks again until it is there
  srun --overlap --nodes="$((${#nodes[@]} - 1))" --ntasks="$((${#nodes[@]} - 1))" --nodelist="$others" \
    --cpus-per-task="$cpus" ray start --block --address="$head:$base" --num-cpus="$cpus" $ports &
  steps="$steps $!"
fi
end() {
  kill -TERM $steps 2>/dev/null
  wait $steps
  rm -rf "$RAY_AUTH_TOKEN_PATH"
  srun --overlap --nodes="${#nodes[@]}" --ntasks="${#nodes[@]}" rm -rf "$RAY_TMPDIR"
}
trap end EXIT

for _ in $(seq 60); do # all nodes: memo-dist plans with what is there when it begins
  up=$(python - "$head:$base" <<'P' 2>/dev/null
import sys, ray
ray.init(address=sys.argv[1], log_to_driver=False)
print(sum(node["Alive"] for node in ray.nodes()))
P
  )
  [ "${up:-0}" -ge "${#nodes[@]}" ] && break
  sleep 2
done

memo-dist build "$input" --out "$out" --address "$head:$base" &
command=$!
trap 'kill -TERM "$command" 2>/dev/null' TERM # to memo-dist alone: it needs Ray for what is under way
wait "$command"
code=$?
while kill -0 "$command" 2>/dev/null; do # a signal ends `wait`, not the command
  wait "$command"
  code=$?
done

# 75: stopped as asked, and goes on by the same command. A job that was cancelled is no longer RUNNING.
if [ "$code" -eq 75 ] && [ "$(squeue --noheader --job "$SLURM_JOB_ID" --format %T)" = RUNNING ]; then
  trap - EXIT
  end
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
