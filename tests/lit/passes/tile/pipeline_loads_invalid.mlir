// RUN: attn-opt %s --tile-pipeline-loads --verify-diagnostics
// Entries are numbered by the loop, which has to count 0, 1, 2, …
!kv = !tile.tensor<[batch, kv_len, 2, 64], f16>   !B = !tile.buffer<64x64xf16, #tile.smem<128>>
func.func @strided(%key: !kv, %n: i32, %b: i32) attributes {tile.kernel, tile.warps = 4 : i32} {
  %c0 = arith.constant 0 : i32   %c64 = arith.constant 64 : i32
  scf.for %i = %c0 to %n step %c64 : i32 {
    // expected-error @below {{'tile.load' op expects a loop that counts 0, 1, 2, …}}
    %k = tile.load %key[%b, %i, %b] along 1 : !kv -> !B
  }
  return
}
