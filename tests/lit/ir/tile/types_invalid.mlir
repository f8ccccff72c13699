// RUN: attn-opt %s --split-input-file --verify-diagnostics
// Types, layouts and attributes of kernels.

// a tensor has a dimension
// expected-error @below {{expects at least one dimension}}
func.func private @f(!tile.tensor<[], f16>)

// -----
// sizes are positive
// expected-error @below {{expects a size that is a positive number, a name or a size expression, but got 0}}
func.func private @f(!tile.tensor<[batch, 0], f16>)

// -----
// fragments have one or two dimensions
// expected-error @below {{expects one or two dimensions, but got 3}}
func.func private @f(!tile.frag<2x16x16xf32>)

// -----
// the layout of a fragment is one
// expected-error @below {{expects a fragment layout, but got #tile.smem<128>}}
func.func private @f(!tile.frag<16x16xf32, #tile.smem<128>>)

// -----
// a row layout is of one dimension
// expected-error @below {{expects a layout of rank 2, but got #tile.row<4>}}
func.func private @f(!tile.frag<64x64xf32, #tile.row<4>>)

// -----
// somebody holds it
// expected-error @below {{expects at least one warp in #tile.acc<0>}}
func.func private @f(!tile.frag<64x64xf32, #tile.acc<0>>)

// -----
// 16 rows a warp
// expected-error @below {{expects a multiple of 16 rows in #tile.acc<4>, but got 24}}
func.func private @f(!tile.frag<24x64xf32, #tile.acc<4>>)

// -----
// columns come in the instruction's steps
// expected-error @below {{expects a multiple of 8 columns in #tile.acc<4>, but got 12}}
func.func private @f(!tile.frag<64x12xf32, #tile.acc<4>>)

// -----
// a buffer lies in shared memory
// expected-error @below {{expects a layout `#tile.smem`, but got #tile.acc<4>}}
func.func private @f(!tile.buffer<64x64xf16, #tile.acc<4>>)

// -----
// swizzled rows fill whole panels
// expected-error @below {{expects rows of a multiple of 128 bytes, but got 96}}
func.func private @f(!tile.buffer<64x48xf16, #tile.smem<128>>)

// -----
// a swizzle needs rows
// expected-error @below {{expects two dimensions in a swizzled buffer, but got 1}}
func.func private @f(!tile.buffer<64xf16, #tile.smem<128>>)

// -----
// swizzles of the hardware
// expected-error @below {{expects a swizzle of 128, 64 or 0 bytes, but got 32}}
func.func private @f(!tile.buffer<64x64xf16, #tile.smem<32>>)

// -----
// a ring has a slot
// expected-error @below {{expects at least one stage}}
func.func private @f(!tile.ring<0, 64x64xf16, #tile.smem<128>>)

// -----
// kernels give nothing
// expected-error @below {{expects a kernel without results, but got 1}}
func.func @f(%x: i32) -> i32 attributes {tile.kernel} { return %x : i32 }

// -----
// kernels take tensors and scalars
// expected-error @below {{expects kernel arguments `!tile.tensor`, i32, f32 or i1, but got 'i64'}}
func.func @f(%x: i64) attributes {tile.kernel} { return }

// -----
// the target belongs to the module
// expected-error @below {{expects `tile.target` as a `#tile.target` on the module}}
func.func @f() attributes {tile.target = #tile.target<"sm_80">} { return }

// -----
// warps are counted in i32
// expected-error @below {{expects `tile.warps` as an i32 on a kernel function}}
func.func @f() attributes {tile.kernel, tile.warps = 4 : i64} { return }

// -----
// parts are as many warps each
// expected-error @below {{expects parts that divide the warps in #tile.acc<8, parts = 3>}}
func.func private @f(!tile.frag<64x96xf32, #tile.acc<8, parts = 3>>)

// -----
// and as many columns, in the instruction's steps
// expected-error @below {{expects a multiple of 16 columns in #tile.acc<8, parts = 2>, but got 24}}
func.func private @f(!tile.frag<64x24xf32, #tile.acc<8, parts = 2>>)

// -----
// quads are rows of words
// expected-error @below {{expects quads with swizzle 0 and without a pitch}}
func.func private @f(!tile.buffer<64x64xf32, #tile.smem<128 quads = true>>)

// -----
// and one row of numbers of 32 bits
// expected-error @below {{expects one dimension of 32-bit elements in quads}}
func.func private @f(!tile.buffer<64xf16, #tile.smem<0 quads = true>>)
