// All operations of the dialect `tile`, for their registration and for the page about them.
#ifndef ATTN_IR_TILE_ALLTILEOPS
#define ATTN_IR_TILE_ALLTILEOPS

include "ir/tile/TileOps.td"
include "ir/tile/ColumnOps.td"
include "ir/tile/DiagonalOps.td"
include "ir/tile/ListOps.td"
include "ir/tile/PartOps.td"
include "ir/tile/RandomOps.td"
include "ir/tile/ScanOps.td"
include "ir/tile/SoftmaxOps.td"
include "ir/tile/TransposeOps.td"
include "ir/tile/WidenOps.td"
include "ir/tile/WorkOps.td"

#endif // ATTN_IR_TILE_ALLTILEOPS
