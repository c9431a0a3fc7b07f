#!/bin/bash
# A build as an array, without a cluster: bash array.sh M.memo TASKS INPUT...   (on the login node; it submits jobs)
#
# Nothing but a directory that all nodes see is shared. A task that fails or is lost is run again by its number,
# or by this script for all, as what is there is not made again. memo-dist status M.memo says which are missing.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$1 tasks=$2
shift 2
last=$((tasks - 1))
submit() { sbatch --parsable --kill-on-invalid-dep=yes "$@"; }
# of an array that is submitted in part, SLURM_ARRAY_TASK_COUNT is that of the part: the number of tasks is given
task='exec memo-dist "$1" "$2" --task "$SLURM_ARRAY_TASK_ID" --of "$3"'

plan=$(submit --job-name=memo-plan --cpus-per-task=4 "$here/retry.sh" memo-dist plan-build "$@" --out "$out")
runs=$(submit --job-name=memo-runs --dependency="afterok:$plan" --array="0-$last" --cpus-per-task=4 --mem=16G \
  "$here/retry.sh" bash -c "$task" task make-runs "$out" "$tasks")
files=$(submit --job-name=memo-merge --dependency="afterok:$runs" --array="0-$last" --cpus-per-task=4 --mem=16G \
  "$here/retry.sh" bash -c "$task" task merge-runs "$out" "$tasks")
submit --job-name=memo-finish --dependency="afterok:$files" "$here/retry.sh" memo-dist finish "$out"
