"""Processes: what each process of a build takes, measured; the constants that a plan is made of.

Covers: processes before they hold anything, their work, Ray's object store. Does not cover: what depends on the corpus
(memory_plan.py).
"""

MIB = 1 << 20

# Proportional set sizes: what a process has before it does anything.
DRIVER_BYTES = 320 * MIB
WORKER_BYTES = 180 * MIB
SHARD_BYTES = 155 * MIB
SHARED_BYTES = 140 * MIB  # libraries that the processes of one machine share
TRAINING_BYTES = 640 * MIB  # the driver while it trains a tokenizer; nothing else runs then

# Ray's object store; Ray wants 75 MiB at least.
STORE_BYTES = 256 * MIB
SMALL_STORE_BYTES = 80 * MIB

# A shard's work: a ledger part merged, a chunk hashed, codes expanded, HDF5's buffers.
MERGE_BYTES = 160 * MIB
FILE_MERGE_BYTES = 100 * MIB  # the same where banks and ledger are on disk
SCORING_BYTES = 512 * MIB  # an experiment's scores of a block of positions, and the cues of a batch

# One association.
LEDGER_BYTES = 16  # name 8, token 4, count 4
PENDING_BYTES = 12  # name 8, token 4
SORTING_BYTES = 60  # in the buffer while it is sorted

DOCUMENT_BYTES = 400  # a document's record in memory
STORED_DOCUMENT_BYTES = 32  # and on disk

# Associations that a shard collects before it merges them.
MIN_BUFFER = 1 << 18
MAX_BUFFER = 1 << 22
LARGE_BUFFER = 1 << 24  # of a ledger of many times MAX_BUFFER
