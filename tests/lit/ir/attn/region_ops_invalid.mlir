// RUN: attn-opt %s --split-input-file --verify-diagnostics
// Operations of regions, one case a constraint.

// (C1) a position is one of a point, which only a region has
func.func @index_outside() -> i32 {
  // expected-error @below {{'attn.index' op expects to stand in a region of an `attn` op}}
  %i = attn.index q_idx
  return %i : i32
}

// -----
func.func @random_outside(%seed: i32) -> f32 {
  // expected-error @below {{'attn.random' op expects to stand in a region of an `attn` op}}
  %u = attn.random %seed, %seed
  return %u : f32
}

// -----
func.func @suffix_sum_outside(%x: f32) -> f32 {
  // expected-error @below {{'attn.suffix_sum' op expects to stand in a region of an `attn` op}}
  %s = attn.suffix_sum %x : f32
  return %s : f32
}

// -----
// (C7) an index a dimension for a number
func.func @load_scalar(%bias: !attn.tensor<[32, 64], f32>, %h: i32) -> f32 {
  // expected-error @below {{'attn.load' op expects 2 indices for a scalar, but got 1}}
  %x = attn.load %bias[%h] : !attn.tensor<[32, 64], f32> -> f32
  return %x : f32
}

// -----
// (C7) all but the last for a row
func.func @load_row(%table: !attn.tensor<[33, 64], f16>, %r: i32) -> vector<64xf32> {
  // expected-error @below {{expects a row of floating elements with all but the last index, but got '!attn.tensor<[33, 64], f16>' with 2 indices for 'vector<64xf32>'}}
  %x = attn.load %table[%r, %r] : !attn.tensor<[33, 64], f16> -> vector<64xf32>
  return %x : vector<64xf32>
}

// -----
// (C7) integers are read as i32
func.func @load_type(%ids: !attn.tensor<[batch], i32>, %b: i32) -> f32 {
  // expected-error @below {{expects a load from '!attn.tensor<[batch], i32>' to give 'i32', but got 'f32'}}
  %x = attn.load %ids[%b] : !attn.tensor<[batch], i32> -> f32
  return %x : f32
}

// -----
// (C8) only what ascends can be searched
func.func @lower_bound(%doc: !attn.tensor<[batch, kv_len], i32>, %b: i32) -> i32 {
  // expected-error @below {{expects an ascending tensor of integers and all but its last index, but got '!attn.tensor<[batch, kv_len], i32>' with 1 indices}}
  %j = attn.lower_bound %doc[%b], %b : !attn.tensor<[batch, kv_len], i32>
  return %j : i32
}

// -----
// (C9)
func.func @rotate(%row: vector<64xf32>, %angle: vector<40xf32>) -> vector<64xf32> {
  // expected-error @below {{expects at most 32 angles for a row of 64, but got 40}}
  %r = attn.rotate %row by %angle : vector<64xf32>, vector<40xf32>
  return %r : vector<64xf32>
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
// (C10)
func.func @ranges(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    ranges { ^tile(%first: i32, %last: i32):
      // expected-error @below {{'attn.yield_ranges' op expects pairs of ends in `visit`, `full` and `facts`}}
      attn.yield_ranges visit [%first] full [] }
  return %out : !q
}
