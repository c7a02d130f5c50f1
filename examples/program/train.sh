#!/bin/bash
# Minimises a curve by Newton's method: a program without Python.
set -e
x=$(trialbox suggest 'x=float(-5, 5)')
damping=$(trialbox suggest 'damping=choice(1, 0.5)')
for step in 0 1 2 3 4; do
    x=$(awk -v x="$x" -v d="$damping" 'BEGIN { printf "%.17g", x - d * (4 * x ^ 3 + 1) / (12 * x ^ 2 + 1) }')
    value=$(awk -v x="$x" 'BEGIN { printf "%.17g", x ^ 4 + x }')
    trialbox report "$value" --step "$step"
    if trialbox should-prune; then
        trialbox result --pruned
        exit
    fi
done
trialbox result "$value" --attr x="$x"
