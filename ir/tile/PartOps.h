// Operations of the dialect `tile` on what the parts of a kernel's warps hold. What each means is said in PartOps.td.
#pragma once

#include "ir/tile/TileDialect.h"

// What mlir-tblgen writes does not name all arguments it has.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define GET_OP_CLASSES
#include "ir/tile/PartOps.h.inc"
#pragma GCC diagnostic pop
