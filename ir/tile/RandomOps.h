// Operation of the dialect `tile` for random numbers. What it means is said in RandomOps.td.
#pragma once

#include "ir/tile/TileDialect.h"

// What mlir-tblgen writes does not name all arguments it has.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define GET_OP_CLASSES
#include "ir/tile/RandomOps.h.inc"
#pragma GCC diagnostic pop
