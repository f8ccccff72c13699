// RUN: attn-opt %s --attn-verify-stage=stage=instructions --split-input-file --verify-diagnostics
func.func @tile() {
  // expected-error @below {{'tile.barrier' op must be gone after stage `nvvm`}}
  tile.barrier
  return
}

// -----
func.func @loop(%n: i32) {
  %one = arith.constant 1 : i32
  // expected-error @below {{'scf.for' op must be gone after stage `nvvm`}}
  scf.for %i = %one to %n step %one : i32 { }
  return
}
