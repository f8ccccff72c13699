// The language's front end: any bytes give typed attentions or messages whose places lie in the text, soon and in little
// memory; what the formatter gives, it leaves as it is.
#include "dsl/Formatter.h"
#include "dsl/Parser.h"
#include "dsl/Prelude.h"
#include "dsl/Program.h"
#include "dsl/Sema.h"
#include "tests/fuzz/FuzzTarget.h"


using namespace attn;
using namespace attn::dsl;

namespace attn::fuzz {

std::span<const std::string_view> dictionary() {
  static constexpr std::string_view kWords[] = {
      "attention ", "fn ", "import ", "let ", "if ", " then ", " else ", " and ", " or ", "not ", "true", "false", "q_pos = ", "mask = ", "score = ", "query = ", "key = ",
      "value = ", "probs = ", "out = ", "q_heads: 2", "kv_heads: any", "head_dim: 64", "head_dim_v: 32", "dtype: bf16", "key_dtype: e4m3", "key_scale: per_block(32)",
      "outputs: out, lse, max_score", "layout: paged(16)", "layout: ragged", "softmax_scale: runtime", "grad: query", "causal()", "window(", "rope(query, q_pos)",
      "alibi()", "t5_bucket(kv_pos - q_pos)", "suffix_sum(", "softmax(score, sink = ", "normalize(", "dropout(", "q_idx", "kv_idx", "kv_head", "q_len", "kv_len", "q_start",
      "kv_rows", "batch", "sum(", "dot(query, key)", "map(fn(x) = ", "vec(8, fn(c) = ", "rotate(", "concat(", "len(", "exp(", "clamp(", "min(", "[0:32]", " in 0..8",
      " ascending", ": f32[q_heads]", ": i32", ": bit[q_len, kv_len]", "1e308", "9223372036854775808", "0x7fffffff", "-inf", "==", "<=", "**", "//", "%", "<<", ">>", "|", "^",
      "&", "#", "\"", "(", ")", "[", "]", "{", "}", ";", ",", ":", "..", "\n", "\xef\xbb\xbf", "\0"};
  return kWords;
}

} // namespace attn::fuzz

static void checkPlaces(const SourceFiles &files, const DiagnosticSink &diagnostics) {
  auto inside = [&](SourceRange range) { return range.file < files.count() && range.begin <= range.end && range.end <= files[range.file].text.size(); };
  for (const Diagnostic &diagnostic : diagnostics.all()) {
    if (message(diagnostic).empty() || !inside(diagnostic.range))
      fuzz::fail("a message outside the text: " + message(diagnostic));
    if (files.positionOf(diagnostic.range).line == 0)
      fuzz::fail("a message without a line: " + message(diagnostic));
    for (const DiagnosticNote &note : diagnostic.notes)
      if (!inside(note.range))
        fuzz::fail("a note outside the text: " + message(note));
    for (const Fix &fix : diagnostic.fixes)
      if (!inside(fix.range))
        fuzz::fail("a fix outside the text: " + message(diagnostic));
  }
}

static void checkFormat(std::string_view text) {
  DiagnosticSink diagnostics, second;
  std::optional<std::string> formatted = formatText(text, 0, diagnostics);
  if (!formatted) {
    if (!diagnostics.hasErrors())
      fuzz::fail("the formatter refuses without a message");
    return;
  }
  std::optional<std::string> again = formatText(*formatted, 0, second);
  if (!again || *again != *formatted)
    fuzz::fail("formatted twice, it differs:\n" + *formatted + "\n---\n" + again.value_or("(refused)"));
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char *>(data), size);
  SourceFiles files;
  DiagnosticSink diagnostics;
  std::uint32_t main = files.add("fuzz.attn", text), prelude = files.add("prelude.attn", preludeText(), /*isPrelude=*/true);
  Program program(files, diagnostics);
  program.load(main, prelude, [](std::string_view, std::string_view) { return std::nullopt; });
  if (!program.hasSyntaxErrors()) {
    Defines defines;
    for (const ast::Attention &attention : program.mainTree().attentions)
      if (!Sema(program, attention, defines, diagnostics).run() && !diagnostics.hasErrors())
        fuzz::fail("an attention is refused without a message");
  } else if (!diagnostics.hasErrors()) {
    fuzz::fail("a syntax error without a message");
  }
  checkPlaces(files, diagnostics);
  (void)applyFixes(text, main, diagnostics);
  checkFormat(text);
  return 0;
}
