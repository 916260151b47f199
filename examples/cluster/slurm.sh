#!/bin/bash
# A SLURM array: every task segments one of as many equal parts of the list as the array has tasks.
#
#   sbatch --array=0-31 examples/cluster/slurm.sh s3://bucket/clips model.safetensors s3://bucket/results
#
# Give the same line again for what is left: done videos are skipped, and the last task writes the tables.
#SBATCH --job-name=avseg
#SBATCH --cpus-per-task=4
#SBATCH --mem=16G
#SBATCH --gpus-per-task=1
#SBATCH --time=08:00:00
#SBATCH --requeue
#SBATCH --output=avseg-%A_%a.log
set -euo pipefail

videos=$1 model=$2 out=$3
# The array has to begin at 0, so that every part has a task.
exec avseg batch "$videos" --model "$model" --out "$out" --masks parquet \
    --runner shards --num-shards "$SLURM_ARRAY_TASK_COUNT" --shard-index "$SLURM_ARRAY_TASK_ID"
