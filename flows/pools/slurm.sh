#!/bin/bash
# A worker for the pool `gpu` in an allocation of Slurm: it does one run that is due, or ends at once where none is.
#SBATCH --job-name=dopsd
#SBATCH --nodes=1
#SBATCH --gres=gpu:${kind}${gpus}
#SBATCH --cpus-per-task=${cpus}
#SBATCH --mem=${memory_gib}G
#SBATCH --time=${time}
#SBATCH --signal=TERM@120
#SBATCH --output=${folder}/runs/services/slurm-%j.log

set -euo pipefail
: "$${PREFECT_API_URL:?say which Prefect server, such as http://host:4200/api}"
cd "${folder}"
. .venv/bin/activate
srun python -m tasks.environment prefect worker start \
    --type process --pool gpu --limit 1 --run-once --name "slurm-$$SLURM_JOB_ID"
