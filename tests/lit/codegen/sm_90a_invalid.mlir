// RUN: attn-opt %s --split-input-file --verify-diagnostics --nvvm-pipeline
// What roles, tensor maps and products of warpgroups cannot do is refused where it stands.
!t = !tile.tensor<[batch, kv_len, 2, 64], f16>
module attributes {tile.target = #tile.target<"sm_90a">} {
func.func @plain_buffer(%key: !t) attributes {tile.kernel, tile.warps = 4 : i32, tile.shared_bytes = 16384 : i32} {
  %c0 = arith.constant 0 : i32
  %r = tile.ring {offset = 0 : i32} : !tile.ring<1, 128x64xf16, #tile.smem<0>>
  tile.role producer warps [0 to 4] {
    // expected-error @+1 {{a tensor map serves swizzled buffers only}}
    tile.fill %r[%c0] from %key[%c0, %c0, %c0] along 1 {via = "tma"} : !tile.ring<1, 128x64xf16, #tile.smem<0>>, !t
  }
  return
}
}

// -----

!t = !tile.tensor<[batch, kv_len, 2, 64], f16>
module attributes {tile.target = #tile.target<"sm_90a">} {
func.func @tall_buffer(%key: !t) attributes {tile.kernel, tile.warps = 4 : i32, tile.shared_bytes = 65536 : i32} {
  %c0 = arith.constant 0 : i32
  %r = tile.ring {offset = 0 : i32} : !tile.ring<1, 512x64xf16, #tile.smem<128>>
  tile.role producer warps [0 to 4] {
    // expected-error @+1 {{a tensor map copies at most 256 rows, but the entry has 512}}
    tile.fill %r[%c0] from %key[%c0, %c0, %c0] along 1 {via = "tma"} : !tile.ring<1, 512x64xf16, #tile.smem<128>>, !t
  }
  return
}
}

// -----

!t = !tile.tensor<[batch, kv_len, 2, 64], f16>
module attributes {tile.target = #tile.target<"sm_90a">} {
func.func @limited(%key: !t) attributes {tile.kernel, tile.warps = 4 : i32, tile.shared_bytes = 16384 : i32} {
  %c0 = arith.constant 0 : i32
  %r = tile.ring {offset = 0 : i32} : !tile.ring<1, 128x64xf16, #tile.smem<128>>
  tile.role producer warps [0 to 4] {
    // expected-error @+1 {{a tensor map knows no `limit`}}
    tile.fill %r[%c0] from %key[%c0, %c0, %c0] along 1 limit %c0 {via = "tma"} : !tile.ring<1, 128x64xf16, #tile.smem<128>>, !t
  }
  return
}
}

// -----

!t = !tile.tensor<[batch, kv_len, 2, 64], f16>
!ring = !tile.ring<1, 128x64xf16, #tile.smem<128>>
module attributes {tile.target = #tile.target<"sm_90a">} {
func.func @outside(%key: !t) attributes {tile.kernel, tile.warps = 4 : i32, tile.shared_bytes = 16384 : i32} {
  %c0 = arith.constant 0 : i32
  %r = tile.ring {offset = 0 : i32} : !ring
  // expected-error @+1 {{uses a ring outside roles in a kernel that has some}}
  tile.acquire %r[%c0] : !ring
  tile.role producer warps [0 to 4] {
    tile.fill %r[%c0] from %key[%c0, %c0, %c0] along 1 {via = "tma"} : !ring, !t
  }
  return
}
}

// -----

!t = !tile.tensor<[batch, kv_len, 2, 64], f16>
!ring = !tile.ring<1, 128x64xf16, #tile.smem<128>>
module attributes {tile.target = #tile.target<"sm_90a">} {
func.func @two_ways(%key: !t) attributes {tile.kernel, tile.warps = 4 : i32, tile.shared_bytes = 16384 : i32} {
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %r = tile.ring {offset = 0 : i32} : !ring
  tile.role producer warps [0 to 4] {
    // expected-error @+1 {{expects all that fill or release a ring to do so with the same threads}}
    tile.fill %r[%c0] from %key[%c0, %c0, %c0] along 1 {via = "tma"} : !ring, !t
    tile.fill %r[%c1] from %key[%c0, %c0, %c0] along 1 {via = "cp_async"} : !ring, !t
  }
  return
}
}

// -----

!S = !tile.frag<128x64xf32, #tile.acc<4>>
module attributes {tile.target = #tile.target<"sm_90a">} {
func.func @unswizzled() attributes {tile.kernel, tile.warps = 4 : i32, tile.shared_bytes = 65536 : i32} {
  tile.role consumer warps [0 to 4] {
    %z = tile.splat 0.0 : !S
    %a = tile.alloc {offset = 0 : i32} : !tile.buffer<128x64xf16, #tile.smem<128>>
    %b = tile.alloc {offset = 16384 : i32} : !tile.buffer<64x64xf16, #tile.smem<0, pitch = 72>>
    // expected-error @+1 {{expects operands in swizzled buffers}}
    %s = tile.dot %a, trans %b, %z : !tile.buffer<128x64xf16, #tile.smem<128>>, !tile.buffer<64x64xf16, #tile.smem<0, pitch = 72>> -> !S
    tile.pin %s : !S
  }
  return
}
}

// -----

!S = !tile.frag<64x64xf32, #tile.acc<8>>
!B = !tile.buffer<64x64xf16, #tile.smem<128>>
module attributes {tile.target = #tile.target<"sm_90a">} {
func.func @too_few_rows() attributes {tile.kernel, tile.warps = 8 : i32, tile.shared_bytes = 65536 : i32} {
  tile.role consumer warps [0 to 8] {
    %z = tile.splat 0.0 : !S
    %a = tile.alloc {offset = 0 : i32} : !B
    // expected-error @+1 {{expects a multiple of 128 rows, 64 for each of the role's warpgroups, but has 64}}
    %s = tile.dot %a, trans %a, %z : !B, !B -> !S
    tile.pin %s : !S
  }
  return
}
}

// -----

!t = !tile.tensor<[batch, q_len, 2, 64], f16>
!B = !tile.buffer<128x64xf16, #tile.smem<0>>
module attributes {tile.target = #tile.target<"sm_90a">} {
func.func @plain_staging(%out: !t) attributes {tile.kernel, tile.warps = 4 : i32, tile.shared_bytes = 16384 : i32} {
  %c0 = arith.constant 0 : i32
  %staging = tile.alloc {offset = 0 : i32} : !B
  tile.role consumer warps [0 to 4] {
    // expected-error @+1 {{a tensor map serves swizzled buffers only}}
    tile.store %staging, %out[%c0, %c0, %c0] along 1 {via = "tma"} : !B, !t
  }
  return
}
}

// -----

!t = !tile.tensor<[batch, q_len, 2, 64], f16>
!B = !tile.buffer<72x64xf16, #tile.smem<128>>
module attributes {tile.target = #tile.target<"sm_90a">} {
func.func @half_a_warp(%out: !t) attributes {tile.kernel, tile.warps = 4 : i32, tile.shared_bytes = 16384 : i32} {
  %c0 = arith.constant 0 : i32
  %staging = tile.alloc {offset = 0 : i32} : !B
  tile.role consumer warps [0 to 4] {
    // expected-error @+1 {{a warp stores 16 rows at a time, but the buffer has 72}}
    tile.store %staging, %out[%c0, %c0, %c0] along 1 {via = "tma"} : !B, !t
  }
  return
}
}
