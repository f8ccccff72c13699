// Operation of the dialect `tile` for softmax of bounded scores. What it means is said in SoftmaxOps.td.
#pragma once

#include "ir/tile/TileDialect.h"

// What mlir-tblgen writes does not name all arguments it has.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define GET_OP_CLASSES
#include "ir/tile/SoftmaxOps.h.inc"
#pragma GCC diagnostic pop
