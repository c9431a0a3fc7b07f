#!/bin/bash
# Any memo-dist command as a job that goes on: sbatch [options] retry.sh memo-dist build INPUT --out M.memo
#
# Slurm sends SIGTERM to this script alone (B:), two minutes before the time is over. It is passed on to memo-dist,
# which ends with 75 once what is under way is kept; the job is then queued again and goes on from there.
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
set -u

"$@" &
command=$!
trap 'kill -TERM "$command" 2>/dev/null' TERM
wait "$command"
code=$?
while kill -0 "$command" 2>/dev/null; do # a signal ends `wait`, not the command
  wait "$command"
  code=$?
done

# a job that was cancelled is no longer RUNNING, and is not to come back; nor one that comes back for ever
if [ "$code" -eq 75 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 100 ]; then
  job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID} # of an array this task alone
  job=${job:-$SLURM_JOB_ID}
  [ "$(squeue --noheader --job "$job" --format %T)" = RUNNING ] && scontrol requeue "$job"
fi
exit "$code"
