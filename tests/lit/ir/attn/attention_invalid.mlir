// RUN: attn-opt %s --split-input-file --verify-diagnostics
// What the verifiers of attn.attention refuse, one case a constraint of its description.

!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
// (C1) a row region knows no key
func.func @query_domain(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    query { ^row(%q: vector<64xf32>):
      // expected-error @below {{'attn.index' op expects an index of the domain of region `query` (row: b h kv_head q_idx), but got `kv_idx`}}
      %j = attn.index kv_idx   %f = arith.sitofp %j : i32 to f32   %r = vector.broadcast %f : f32 to vector<64xf32>
      %x = arith.mulf %q, %r : vector<64xf32>   attn.yield %x : vector<64xf32> }
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
// (C1) a column region knows no query row
func.func @key_domain(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    key { ^column(%k: vector<64xf32>):
      // expected-error @below {{expects an index of the domain of region `key` (column: b h kv_head kv_idx), but got `q_idx`}}
      %i = attn.index q_idx   %f = arith.sitofp %i : i32 to f32   %r = vector.broadcast %f : f32 to vector<64xf32>
      %x = arith.mulf %k, %r : vector<64xf32>   attn.yield %x : vector<64xf32> }
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
// (C1) region `ranges` speaks of a tile, not of a row
func.func @ranges_domain(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    ranges { ^tile(%first: i32, %last: i32):
      // expected-error @below {{expects an index of the domain of region `ranges` (tile: b h kv_head), but got `q_idx`}}
      %i = attn.index q_idx   %n = attn.size kv_len   attn.yield_ranges visit [%i, %n] full [] }
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
// (C1) random numbers belong to a point
func.func @random_domain(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %seed = arith.constant 1 : i32
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    // expected-error @below {{'attn.random' op expects a point region, but stands in region `init`}}
    init { %u = attn.random %seed, %seed   attn.yield %u : f32 }
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
!doc = !attn.tensor<[batch, kv_len], i32, ascending>
// (C1) a search belongs to region `ranges`
func.func @lower_bound_domain(%query: !q, %key: !kv, %value: !kv, %doc: !doc) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    mask { %b = attn.index b   %i = attn.index q_idx
      // expected-error @below {{'attn.lower_bound' op expects region `ranges`, but stands in region `mask`}}
      %l = attn.lower_bound %doc[%b], %i : !doc
      %v = arith.cmpi sle, %l, %i : i32   attn.yield %v : i1 }
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
// (C2) `query` yields two features, `score` takes one
func.func @features(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // expected-error @below {{'attn.attention' op expects region `score` to take ('vector<64xf32>', 'vector<64xf32>', 'vector<64xf32>'), but it takes ('vector<64xf32>', 'vector<64xf32>')}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    query { ^row(%q: vector<64xf32>): attn.yield %q, %q : vector<64xf32>, vector<64xf32> }
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>   attn.yield %s : f32 }
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
// (C2) the scaled dot, which an absent `score` means, takes one feature a side
func.func @absent_score(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // expected-error @below {{expects region `score` where `query` and `key` yield other than one feature of one length}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    query { ^row(%q: vector<64xf32>): attn.yield %q, %q : vector<64xf32>, vector<64xf32> }
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
// (C3) a feature goes into a dot, nowhere else
func.func @feature_use(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      // expected-error @below {{'arith.addf' op expects features of `score` to be used by `attn.dot` only}}
      %x = arith.addf %q, %k : vector<64xf32>
      %s = attn.dot %q, %x : vector<64xf32>   attn.yield %s : f32 }
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
// (C3) a computed row belongs into the region of its side
func.func @dot_with_a_constant(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>):
      %ones = arith.constant dense<1.0> : vector<64xf32>
      // expected-error @below {{'attn.dot' op expects a feature, and another or a loaded row}}
      %s = attn.dot %q, %ones : vector<64xf32>   attn.yield %s : f32 }
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
// (C4) the weight's first result is a multiple of the weight
func.func @weight_factor(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // expected-error @below {{expects region `weight` to yield a multiple of its first argument}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    weight { ^point(%p: f32, %v: vector<64xf32>): %x = arith.mulf %p, %p : f32   attn.yield %x, %v : f32, vector<64xf32> }
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
// (C4) the value row may gain rows, not be scaled
func.func @weight_row(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // expected-error @below {{expects region `weight` to yield its second argument plus loaded rows}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    weight { ^point(%p: f32, %v: vector<64xf32>): %x = arith.mulf %v, %v : vector<64xf32>   attn.yield %p, %x : f32, vector<64xf32> }
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 3, 64], f16>
// (C5)
func.func @heads(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // expected-error @below {{expects kv_heads to divide q_heads, but got 3 and 8}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
!bad = !attn.tensor<[rows, 2, 64], f16>
func.func @ranks(%query: !q, %key: !kv, %value: !bad) -> !q attributes {attn.plan} {
  // expected-error @below {{expects query of rank 4, key and value of rank 4, but got ranks 4, 4, 3}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !bad) -> !q
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, head_dim], f16>
func.func @row_length(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // expected-error @below {{expects floating elements and a number as last size, but got '!attn.tensor<[batch, kv_len, 2, head_dim], f16>'}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>   !v = !attn.tensor<[batch, kv_len, 4, 64], f16>
func.func @value_heads(%query: !q, %key: !kv, %value: !v) -> !q attributes {attn.plan} {
  // expected-error @below {{expects key and value of equal sizes but for the last}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !v) -> !q
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
func.func @normalized_softmax(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // expected-error @below {{expects `normalize` with direct weights only}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {normalize} -> !q
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
func.func @direct_without_score(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // expected-error @below {{expects region `score` with direct weights}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {weights = #attn<weights direct>} -> !q
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
func.func @mask_type(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // expected-error @below {{expects region `mask` to yield ('i1'), but it yields ('i32')}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    mask { %i = attn.index q_idx   attn.yield %i : i32 }
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
func.func @row_region(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // expected-error @below {{expects region `value` to yield one row, but it yields ('vector<64xf32>', 'vector<64xf32>')}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    value { ^column(%v: vector<64xf32>): attn.yield %v, %v : vector<64xf32>, vector<64xf32> }
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
func.func @ranges_form(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // expected-error @below {{expects region `ranges` to take (i32, i32) and to end in `attn.yield_ranges`}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !q
    ranges { ^tile(%first: i32): attn.yield_ranges visit [] full [] }
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>   !o = !attn.tensor<[batch, q_len, 8, 32], f16>
func.func @out_length(%query: !q, %key: !kv, %value: !kv) -> !o attributes {attn.plan} {
  // expected-error @below {{expects `out` with rows of 64, but got '!attn.tensor<[batch, q_len, 8, 32], f16>'}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) -> !o
  return %out : !o
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>   !lse = !attn.tensor<[batch, 8, q_len], f16>
func.func @lse_type(%query: !q, %key: !kv, %value: !kv) -> !lse attributes {attn.plan} {
  // expected-error @below {{expects `lse` as f32 of rank 3, but got '!attn.tensor<[batch, 8, q_len], f16>'}}
  %lse = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {outputs = ["lse"]} -> !lse
  return %lse : !lse
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
func.func @output_names(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // expected-error @below {{expects out, lse, max_score in `outputs`, each once, but got "probs"}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {outputs = ["probs"]} -> !q
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
func.func @output_count(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  // expected-error @below {{expects a name in `outputs` for each of 1 results, but got 2}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {outputs = ["out", "lse"]} -> !q
  return %out : !q
}

// -----
!q = !attn.tensor<[rows, 8, 64], f16>   !kv = !attn.tensor<[keys, 2, 64], f16>   !cu = !attn.tensor<["batch + 1"], i32>
func.func @ragged(%query: !q, %key: !kv, %value: !kv, %cu: !cu) -> !q attributes {attn.plan} {
  // expected-error @below {{expects cu_seqlens_q, cu_seqlens_kv as operands of `ragged`}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) ragged(%cu : !cu) -> !q
  return %out : !q
}

// -----
!q = !attn.tensor<[rows, 8, 64], f16>   !kv = !attn.tensor<[pages, 16, 2, 64], f16>   !cu = !attn.tensor<["batch + 1"], i32>
func.func @paged(%query: !q, %key: !kv, %value: !kv, %cu: !cu) -> !q attributes {attn.plan} {
  // expected-error @below {{expects cu_seqlens_q, page_table, kv_lens as operands of `paged`, and `page_size`}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) paged(%cu, %cu, %cu : !cu, !cu, !cu) -> !q
  return %out : !q
}

// -----
!q = !attn.tensor<[batch, q_len, 8, 64], f16>   !kv = !attn.tensor<[batch, kv_len, 2, 64], f16>
func.func @direct_sink(%query: !q, %key: !kv, %value: !kv) -> !q attributes {attn.plan} {
  %one = arith.constant 1.0 : f32
  // expected-error @below {{expects no region `init` with direct weights}}
  %out = attn.attention query(%query : !q) key(%key : !kv) value(%value : !kv) {weights = #attn<weights direct>} -> !q
    score { ^point(%q: vector<64xf32>, %k: vector<64xf32>): %s = attn.dot %q, %k : vector<64xf32>   attn.yield %s : f32 }
    init { attn.yield %one : f32 }
  return %out : !q
}
