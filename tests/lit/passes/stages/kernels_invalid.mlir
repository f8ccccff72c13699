// RUN: attn-opt %s --attn-verify-stage=stage=kernels --split-input-file --verify-diagnostics
func.func @state() {
  // expected-error @below {{'attn.identity' op must be gone after stage `tile`}}
  %s = attn.identity : !attn.state<[batch, 8, q_len], 64>
  return
}

// -----
func.func @ring() {
  // expected-error @below {{'tile.ring' op expects `offset` after AllocateShared}}
  %r = tile.ring : !tile.ring<1, 64x64xf16, #tile.smem<128>>
  return
}

// -----
func.func @buffer() {
  // expected-error @below {{'tile.alloc' op expects `offset` after AllocateShared}}
  %r = tile.alloc : !tile.buffer<64x64xf16, #tile.smem<128>>
  return
}

// -----
!B = !tile.buffer<64x64xf16, #tile.smem<128>>   !ring = !tile.ring<1, 64x64xf16, #tile.smem<128>>
func.func @await(%i: i32) {
  %r = tile.ring {offset = 0 : i32} : !ring
  // expected-error @below {{'tile.await' op expects `pending` after InsertBarriers}}
  %b = tile.await %r[%i] : !ring -> !B
  return
}
