// Mistakes that people make who come from Python, PyTorch or the papers, one a test: what they are told, and the text
// after the changes that they are offered. Changed so, the text has to be accepted without a further word.
#include "dsl/Analyze.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"

#include <gtest/gtest.h>

namespace attn::dsl {
namespace {

struct Mistake {
  const char *name;
  const char *written;
  const char *told;              ///< part of the messages
  const char *fixed = nullptr;   ///< null: no change is offered that a program could make
};

std::ostream &operator<<(std::ostream &stream, const Mistake &mistake) { return stream << mistake.name; }

class Newcomer : public testing::TestWithParam<Mistake> {
protected:
  /// The text after the offered changes; `messages` receives what was said.
  std::string fix(const std::string &text, std::string &messages) {
    mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
    mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) {
      messages += diagnostic.str() + "\n";
      for (mlir::Diagnostic &note : diagnostic.getNotes())
        messages += note.str() + "\n";
      return mlir::success();
    });
    llvm::SourceMgr sources;
    sources.AddNewSourceBuffer(llvm::MemoryBuffer::getMemBufferCopy(text, "newcomer.attn"), llvm::SMLoc());
    return fixed(context, sources);
  }
};

/// `body` in an attention.
std::string attentionOf(const std::string &text) {
  return text.find("ttention ") == std::string::npos ? "attention a { head_dim: 64; " + text + " }\n" : text + "\n";
}

TEST_P(Newcomer, IsToldWhatToWrite) {
  const Mistake &mistake = GetParam();
  std::string messages, again, text = attentionOf(mistake.written);
  std::string result = fix(text, messages);
  EXPECT_NE(messages.find(mistake.told), std::string::npos) << text << messages;
  if (!mistake.fixed) {
    EXPECT_EQ(result, text);
    return;
  }
  EXPECT_EQ(result, attentionOf(mistake.fixed)) << messages;
  fix(result, again);
  EXPECT_EQ(again, "") << result;
}

const Mistake kMistakes[] = {
    {"misspelt_function", "mask = casual()", "did you mean `causal`?", "mask = causal()"},
    {"misspelt_name", "mask = kv_indx <= q_idx", "did you mean `kv_idx`?", "mask = kv_idx <= q_idx"},
    {"misspelt_property", "attention a { headdim: 64 }", "did you mean `head_dim`?", "attention a { head_dim: 64 }"},
    {"misspelt_argument", "mask = window(lft = 8)", "did you mean `left`?", "mask = window(left = 8)"},
    {"unknown_argument", "mask = window(size = 128)", "declared as `window(left, right = 0)`"},
    {"missing_argument", "mask = window()", "declared as `window(left, right = 0)`"},
    {"arguments_exchanged", "query = rope(q_pos, query)", "declared as `rope(v, pos, theta = 10000, dim = len(v), interleaved = false)`"},
    {"function_without_parentheses", "mask = causal", "help: insert `()`", "mask = causal()"},
    {"names_of_papers", "score = score + dot(q, key)", "did you mean `query`?", "score = score + dot(query, key)"},
    {"python_truth", "query = rope(query, q_pos, interleaved = True)", "did you mean `true`?",
     "query = rope(query, q_pos, interleaved = true)"},
    {"python_conditional", "score = score if kv_idx < 4 else 0.0", "help: write `if kv_idx < 4 then score else 0.0`",
     "score = if kv_idx < 4 then score else 0.0"},
    {"c_conditional", "score = kv_idx < 4 ? score : 0.0", "help: write `if condition then this else that`"},
    {"python_module", "mask = math.abs(q_pos - kv_pos) < 3", "help: functions stand alone, without `math.`",
     "mask = abs(q_pos - kv_pos) < 3"},
    {"choice_of_numpy", "score = where(causal(), score, -inf)", "help: write `(if causal() then score else -inf)`",
     "score = (if causal() then score else -inf)"},
    {"method", "score = score.softcap(50)", "help: functions stand alone, without `score.`"},
    {"causal_as_property", "causal: true", "help: write `mask = causal()`", "mask = causal()"},
    {"python_function", "def twice(x) = 2 * x\nattention a { head_dim: 64; score = twice(score) }", "help: write `fn`",
     "fn twice(x) = 2 * x\nattention a { head_dim: 64; score = twice(score) }"},
    {"capital_keyword", "Attention a { head_dim: 64 }", "help: write `attention`", "attention a { head_dim: 64 }"},
    {"matrix_product", "score = query @ key", "help: `dot(u, v)` multiplies two rows"},
    {"product_of_rows", "score = query * key", "help: write `dot(query, key)`", "score = dot(query, key)"},
    {"caret_as_power", "score = score * 2 ^ 0.5", "help: write `**`", "score = score * 2 ** 0.5"},
    {"ampersands", "mask = causal()&&kv_idx > 3", "`&&` is no operator of the language; write `and`", "mask = causal() and kv_idx > 3"},
    {"bars", "mask = causal() || kv_idx < 3", "write `or`", "mask = causal() or kv_idx < 3"},
    {"exclamation_mark", "mask = !causal()", "write `not`", "mask = not causal()"},
    {"upper_case_and", "mask = causal() AND kv_idx > 3", "help: write `and`", "mask = causal() and kv_idx > 3"},
    {"assignment_as_comparison", "attention a(doc: i32[batch, kv_len]) { head_dim: 64; mask = doc[b, q_idx] = doc[b, kv_idx] }",
     "help: write `==`", "attention a(doc: i32[batch, kv_len]) { head_dim: 64; mask = doc[b, q_idx] == doc[b, kv_idx] }"},
    {"assignment_as_comparison_in_parentheses", "mask = (kv_idx = 0) or causal()", "help: write `==`", "mask = (kv_idx == 0) or causal()"},
    {"comparison_as_assignment", "mask == causal()", "help: write `=`", "mask = causal()"},
    {"compound_assignment", "score += alibi()", "help: write `= score +`", "score = score + alibi()"},
    {"comparison_chain", "mask = 0 <= q_pos - kv_pos < 128", "help: insert `and q_pos - kv_pos`",
     "mask = 0 <= q_pos - kv_pos and q_pos - kv_pos < 128"},
    {"missing_semicolon", "attention a { head_dim: 64 mask = causal() }", "help: insert `;`", "attention a { head_dim: 64; mask = causal() }"},
    {"semicolon_between_parameters", "attention a(x: f32; y: f32) { head_dim: 64; score = score * x * y }", "help: write `,`",
     "attention a(x: f32, y: f32) { head_dim: 64; score = score * x * y }"},
    {"comment_by_slashes", "attention a {\n  head_dim: 64 // of each head\n  mask = causal()\n}", "help: write `#`",
     "attention a {\n  head_dim: 64 # of each head\n  mask = causal()\n}"},
    {"typeset_operators", "mask = q_pos \u2212 kv_pos \u2265 0 \u2227 kv_pos \u2260 3", "`\u2265` is no operator of the language; write `>=`",
     "mask = q_pos - kv_pos >= 0 and kv_pos != 3"},
    {"no_break_space", "mask =\u00a0causal()", "is no character of the language", "mask = causal()"},
    {"point_without_digit", "score = score * .5 + 2.", "lacks a digit at its point", "score = score * 0.5 + 2.0"},
    {"open_brace", "attention a {\n  head_dim: 64\n  mask = causal()", "help: insert `}`", "attention a {\n  head_dim: 64\n  mask = causal() }"},
    {"open_parenthesis", "attention a {\n  head_dim: 64\n  mask = (causal() and kv_idx < 3\n}", "`(` is open since here"},
    {"property_with_equals", "softmax_scale = 0.125", "help: write `:`", "softmax_scale: 0.125"},
    {"definition_with_colon", "mask: causal()", "help: write `=`", "mask = causal()"},
    {"type_of_torch", "dtype: float16", "did you mean `f16`?", "dtype: f16"},
    {"type_of_parameter", "attention a(w: float[q_heads]) { head_dim: 64; score = score * w[h] }", "did you mean `f32`?",
     "attention a(w: f32[q_heads]) { head_dim: 64; score = score * w[h] }"},
    {"pages_without_size", "layout: paged", "did you mean `paged(page_size)`?"},
    {"head_dim_missing", "attention a { mask = causal() }", "lacks `head_dim: number`"},
    {"tensor_not_declared", "attention a { head_dim: 64; score = score + bias[h, q_idx] }",
     "help: parameters are declared behind the attention's name: `a(bias: f32[q_heads, q_len])`",
     "attention a(bias: f32[q_heads, q_len]) { head_dim: 64; score = score + bias[h, q_idx] }"},
    {"tensor_not_declared_read_twice", "attention a { head_dim: 64; score = score * bias[h] + bias[h] }", "unknown name `bias`",
     "attention a(bias: f32[q_heads]) { head_dim: 64; score = score * bias[h] + bias[h] }"},
    {"scalar_not_declared", "attention a(x: f32) { head_dim: 64; score = score * x; mask = causal() and q_pos - kv_pos < size }",
     "help: parameters are declared behind the attention's name: `size: i32`",
     "attention a(x: f32, size: i32) { head_dim: 64; score = score * x; mask = causal() and q_pos - kv_pos < size }"},
    {"tensor_of_another_rank", "attention a(bias: f32[q_heads, kv_len]) { head_dim: 64; score = score + bias[h, q_idx, kv_idx] }",
     "`bias` is declared here"},
    {"index_order", "attention a(bias: f32[q_heads, q_len, kv_len]) { head_dim: 64; score = score + bias[q_idx, kv_idx, h] }",
     "`q_idx` indexes the dimension `q_heads` of `bias`, which has a dimension `q_len` too",
     "attention a(bias: f32[q_heads, q_len, kv_len]) { head_dim: 64; score = score + bias[h, q_idx, kv_idx] }"},
    {"index_order_of_a_table", "attention a(bias: f32[q_heads, 32]) { head_dim: 64; score = score + bias[t5_bucket(kv_pos - q_pos), h] }",
     "help: write `h, t5_bucket(kv_pos - q_pos)`",
     "attention a(bias: f32[q_heads, 32]) { head_dim: 64; score = score + bias[h, t5_bucket(kv_pos - q_pos)] }"},
    {"vectors_of_two_lengths", "attention a(w: f32[32]) { head_dim: 64; query = query * w }", "takes vectors of one length, but got 64 and 32"},
    {"truths_as_bits", "mask = causal() & window(3)", "help: write `and`", "mask = causal() and window(3)"},
    {"truths_as_bits_or", "mask = (kv_idx > q_idx) | (kv_idx < 4)", "help: write `or`", "mask = (kv_idx > q_idx) or (kv_idx < 4)"},
    {"function_of_torch", "query = query - mean(query)", "help: write `sum(v) / len(v)`"},
    {"function_of_torch_inside_a_function", "fn f(x) = silu(x)\nattention a { head_dim: 64; score = f(score) }", "help: write `x * sigmoid(x)`"},
    {"matrix_product_by_name", "score = matmul(query, key)", "did you mean `dot`?", "score = dot(query, key)"},
    {"softmax_of_the_score", "score = softmax(score)", "help: `probs` is `softmax(score)` unless it is defined"},
    {"axis_of_softmax", "probs = softmax(score, dim = 3)", "declared as `softmax(x, sink = \u2026)`"},
    {"two_softmaxes", "probs = softmax(score) - 0.2 * softmax(-score)", "help: each `softmax` takes an attention of its own"},
    {"mask_as_score", "score = causal()", "help: what hides keys is a `mask`: `mask = causal()`"},
    {"position_of_the_other_row", "key = rope(key, q_pos)", "help: the vector belongs to the key row, where the position is `kv_pos`"},
    {"parameter_without_type", "attention a(n) { head_dim: 64; mask = kv_idx < n }", "help: a parameter has a type, such as `n: i32`"},
    {"bounds_behind_the_default", "attention a(n: i32 = 4 in 1..8) { head_dim: 64; mask = kv_idx < n }",
     "help: `in` stands before the default: `n: i32 in 1..8 = 4`"},
    {"loop", "for i in 0..3 { score = score + i }", "help: there are no loops"},
    {"comment_of_c", "/* one head */\nattention a { head_dim: 64 }", "help: a comment begins with `#`"},
    {"index_forgotten", "attention a(bias: f32[q_heads, q_len]) { head_dim: 64; score = score + bias[h] }", "`bias` lacks its last index"},
    {"layout_of_transformer_engine", "layout: thd", "did you mean `ragged`?", "layout: ragged"},
    {"output_by_another_name", "outputs: output, lse", "did you mean `out`?", "outputs: out, lse"},
    {"truth_as_number", "score = score * causal()", "help: write `(if causal() then 1 else 0)`", "score = score * (if causal() then 1 else 0)"},
    {"number_as_truth", "attention a(keep: i8[kv_len]) { head_dim: 64; mask = causal() and keep[kv_idx] }", "help: write `(keep[kv_idx] != 0)`",
     "attention a(keep: i8[kv_len]) { head_dim: 64; mask = causal() and (keep[kv_idx] != 0) }"},
    {"number_as_mask", "attention a(keep: i8[kv_len]) { head_dim: 64; mask = keep[kv_idx] }", "help: write `keep[kv_idx] != 0`",
     "attention a(keep: i8[kv_len]) { head_dim: 64; mask = keep[kv_idx] != 0 }"},
    {"quotients_compared", "mask = q_idx / 16 == kv_idx / 16", "`==` compares real quotients of integers",
     "mask = q_idx // 16 == kv_idx // 16"},
    {"quotient_as_index", "attention a(t: f32[64]) { head_dim: 64; score = score + t[kv_idx / 2 ] }", "help: write `//`",
     "attention a(t: f32[64]) { head_dim: 64; score = score + t[kv_idx // 2 ] }"},
    {"real_index", "attention a(t: f32[64]) { head_dim: 64; score = score + t[0.5 * kv_idx] }", "help: write `floor(0.5 * kv_idx)`",
     "attention a(t: f32[64]) { head_dim: 64; score = score + t[floor(0.5 * kv_idx)] }"},
    {"mask_that_hides_all", "mask = kv_idx < 0", "help: a mask is true where the query sees the key"},
    {"mask_defined_twice", "mask = causal(); mask = kv_idx < 9 or kv_idx > 20", "help: write `mask and (kv_idx < 9 or kv_idx > 20)`",
     "mask = causal(); mask = mask and (kv_idx < 9 or kv_idx > 20)"},
    {"score_that_ignores_the_score", "attention a(bias: f32[q_heads]) { head_dim: 64; score = bias[h] }", "help: write `score + bias[h]`",
     "attention a(bias: f32[q_heads]) { head_dim: 64; score = score + bias[h] }"},
    {"additive_mask", "mask = if causal() then 0 else -inf", "help: write `causal()`", "mask = causal()"},
    {"additive_mask_of_large_numbers", "mask = if kv_idx > q_idx then -1e9 else 0.0", "help: write `not (kv_idx > q_idx)`", "mask = not (kv_idx > q_idx)"},
    {"comma_between_properties", "attention a { head_dim: 64, q_heads: 8 }", "help: write `;`", "attention a { head_dim: 64; q_heads: 8 }"},
    {"python_lambda", "query = map(lambda x: 2 * x, query)", "help: write `fn(x) =`", "query = map(fn(x) = 2 * x, query)"},
    {"vector_as_position", "query = rope(query, query)", "this place takes a number, but got vector of 64"},
    {"longer_query", "query = concat(query, query)", "`query` is vector of 128 and `key` vector of 64"},
    {"shift_too_far", "mask = q_idx >> 40 == kv_idx >> 4", "shift by 40; from 0 to 31 is possible"},
    {"not_a_number", "score = if causal() then score else nan", "unknown name `nan`"},
    {"query_below_score", "score = softcap(score, 50); query = rope(query, q_pos)", "move it up"},
};
INSTANTIATE_TEST_SUITE_P(Mistakes, Newcomer, testing::ValuesIn(kMistakes), [](const auto &info) { return std::string(info.param.name); });

} // namespace
} // namespace attn::dsl
