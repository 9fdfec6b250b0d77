#!/usr/bin/env bash
# The tests of faults for longer: every command that writes is killed at 100 random instants, with as many seeds as asked for.
# usage: tests/soak.sh [SEEDS]
set -euo pipefail
cd "$(dirname "$0")/.."
for seed in $(seq 1 "${1:-3}"); do
    echo "seed $seed"
    STRIATE_SOAK=100 STRIATE_SOAK_SEED="$seed" cargo test --quiet --test faults a_killed_command
done
