#!/bin/bash
# A build on one node: sbatch one-node.sh INPUT M.memo
#
# INPUT and M.memo lie on a file system that all nodes see: a job that is queued again may get another node.
# memo-dist starts a Ray of its own for a large corpus; it listens on 127.0.0.1, so any number of jobs may share a node.
#SBATCH --job-name=memo-build
#SBATCH --nodes=1
#SBATCH --cpus-per-task=16
#SBATCH --mem=64G
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
set -u
input=$1 out=$2

# SLURM_MEM_PER_NODE is in MiB; without it memo-dist would plan with all that is free on the node
memo-dist build "$input" --out "$out" --memory-budget "$((${SLURM_MEM_PER_NODE:-64000} * 9 / 10))MB" &
command=$!
trap 'kill -TERM "$command" 2>/dev/null' TERM # to this script alone, before the time is over: B: above
wait "$command"
code=$?
while kill -0 "$command" 2>/dev/null; do # a signal ends `wait`, not the command
  wait "$command"
  code=$?
done

# 75: stopped as asked, and goes on by the same command. A job that was cancelled is no longer RUNNING.
if [ "$code" -eq 75 ] && [ "$(squeue --noheader --job "$SLURM_JOB_ID" --format %T)" = RUNNING ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
