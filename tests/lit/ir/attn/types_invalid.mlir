// RUN: attn-opt %s --split-input-file --verify-diagnostics
// Types, and attributes of plans and their arguments.

// elements are those of the language
// expected-error @below {{expects f64, f32, bf16, f16, f8E4M3FN, f8E5M2, i32, i16, i8 or i1 elements, but got 'i64'}}
func.func private @f(!attn.tensor<[batch], i64>)

// -----
// sizes
// expected-error @below {{expects sizes of 1 and above, but got 0}}
func.func private @f(!attn.tensor<[batch, 0], f16>)

// -----
// a size expression is one of the language
// expected-error @below {{size expression: }}
func.func private @f(!attn.tensor<["2 *"], f16>)

// -----
// a number ascends along nothing
// expected-error @below {{expects a dimension to ascend along, but got a tensor of rank 0}}
func.func private @f(!attn.tensor<[], i32, ascending>)

// -----
// a state has rows
// expected-error @below {{expects a row length and bins of 1 and above}}
func.func private @f(!attn.state<[batch, 8, q_len], 0>)

// -----
// bounds are two
// expected-error @below {{expects `attn.in` as two size expressions in quotes, but got ["0"]}}
func.func private @f(i32 {attn.in = ["0"]})

// -----
// bounds are size expressions
// expected-error @below {{expects size expressions in `attn.in`, but got "1 +"}}
func.func private @f(i32 {attn.in = ["0", "1 +"]})

// -----
// the type says so too
// expected-error @below {{expects `attn.ascending` on a tensor whose type says `ascending`}}
func.func private @f(!attn.tensor<[batch], i32> {attn.ascending})

// -----
// booleans are bytes
// expected-error @below {{expects `attn.bool` on a tensor of i8}}
func.func private @f(!attn.tensor<[batch], i32> {attn.bool})

// -----
// defaults have the argument's type
// expected-error @below {{expects `attn.default` of type 'i32', but got 1.000000e+00 : f32}}
func.func private @f(i32 {attn.default = 1.0 : f32})

// -----
// layouts
// expected-error @below {{expects `attn.layout` to be "bshd" or "bhsd", but got "sbhd"}}
func.func private @f() attributes {attn.layout = "sbhd"}

// -----
// nothing unknown
// expected-error @below {{expects no attribute `attn.split` on a function}}
func.func private @f() attributes {attn.split}

// -----
// facts are about comparisons
func.func @f(%x: i32) {
  // expected-error @below {{expects `attn.fact` as an integer on a comparison of integers}}
  %y = arith.addi %x, %x {attn.fact = 0} : i32
  return
}
