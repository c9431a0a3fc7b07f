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

MERGE_BYTES = 160 * MIB  # a shard's work: a chunk hashed, codes expanded, HDF5's buffers
WRITE_BYTES = 64 * MIB  # a merge's, beside its slice: codes of a few associations, packed cells, HDF5's buffers
SCORING_BYTES = 512 * MIB  # an experiment's scores of a block of positions, and the cues of a batch

# One association.
STORED_TOKEN_SHARE = 0.8  # on disk, of a token's bits: .80 in prose, .76 in code; some are more frequent
STORED_COUNT_BYTES = 0.1  # on disk, beside name and token: how often it was seen; .04 in prose, .09 in code
STORED_RUN_BYTES = 10  # in a sorted run
RUN_BYTES = 64  # while a run is made of it: key 8, name and token twice, then its entry
SLICE_BYTES = 84  # of a slice while it is added up: as read, near its place, in its place

DOCUMENT_BYTES = 550  # a document's record in memory, while others come in
STORED_DOCUMENT_BYTES = 100  # and on disk; most of it is its id
STORED_TOKEN_BYTES = 2  # of the token batches that are kept
STORED_BANK_BYTES = 129 + 170  # three digests, and where its parts begin; tables of the codes in its three frames

CHUNK = 1 << 18  # positions whose associations are a file of a run

# Associations of all sources that a merge adds up at a time.
MIN_SLICE = 1 << 18
MAX_SLICE = 1 << 21
KEPT = 4  # slices whose sums are kept, so that they need not be added up twice
KEPT_BYTES = 16  # of an association in them
SLICE_CELLS = 32  # bytes of banks that are filled meanwhile, for each of them, at most
