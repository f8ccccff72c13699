// The typed form of one attention: what Sema makes of a specification and all that later stages read.
//
// Functions are inlined, names resolved, constants folded, defaults filled in; of the flow's names only the final
// meanings remain, each an expression over primitive nodes. Expressions form a DAG: a `let`, an argument of a function
// or an earlier definition that is used twice is one node with two users. Free of LLVM and MLIR.
//
// Evaluation is lazy: `And`, `Or` and `If` evaluate only what is needed, and where `mask` is false nothing else is.
#pragma once

#include "support/ElementType.h"
#include "support/SizeExpr.h"

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace attn::dsl {

/// Where a node was written. Nodes of prelude functions carry the place of the call. Lines and columns start at 1.
struct SourcePosition {
  std::uint32_t file = 0;    ///< index into `TypedSpec::fileNames`
  std::uint32_t line = 0;    ///< 0: nowhere in a file (a default)
  std::uint32_t column = 0;
};

/// The type of an expression. Elements of vectors are f32 always (rows of integer tables are widened when read).
struct Type {
  enum class Kind : std::uint8_t { Bool, I32, F32, Vector };
  Kind kind = Kind::F32;
  std::int64_t length = 0;   ///< of a vector

  static Type boolean() { return {Kind::Bool, 0}; }
  static Type i32() { return {Kind::I32, 0}; }
  static Type f32() { return {Kind::F32, 0}; }
  static Type vector(std::int64_t length) { return {Kind::Vector, length}; }
  bool isVector() const { return kind == Kind::Vector; }
  bool isNumber() const { return kind == Kind::I32 || kind == Kind::F32; }
  friend bool operator==(const Type &, const Type &) = default;
};
/// `bool`, `i32`, `f32`, `vector of 64`.
std::string spelling(Type type);

enum class ExprKind : std::uint8_t {
  Number,        ///< `number`; i32 or f32 (f32 constants are kept in double)
  Boolean,       ///< `boolean`
  Index,         ///< `index`; i32
  Size,          ///< `name` of an extent of this request; i32: batch q_len kv_len q_heads kv_heads, a new name, and, in
                 ///< layouts ragged and paged alone, q_start kv_start. What is constant is a Number instead.
  SoftmaxScale,  ///< the launch argument, where `softmax_scale: runtime`; f32
  Scalar,        ///< scalar parameter number `parameter`; bool, i32 or f32
  Input,         ///< a row of `input` as it lies in memory; vector. Its scale, if it has one, multiplies it as a Read or Scalar
  Read,          ///< tensor parameter number `parameter` at `operands`: all dimensions (scalar) or all but the last (vector)
  Variable,      ///< the bound scalar of a Map (f32), Vec or Rotate (i32); identity is the node's address
  ToF32,         ///< i32 → f32
  Unary,         ///< `unary`; scalar, or a vector by element
  Binary,        ///< `binary`; two scalars of one type, two vectors, or a vector and an f32 on either side
  Compare,       ///< `compare`; two i32, two f32 or (Eq, Ne) two bool
  Not, And, Or,  ///< bool
  If,            ///< operands: bool condition, then, else; both branches have the node's type
  Dot,           ///< two vectors of one length → f32
  Sum,           ///< of a vector → f32; over a Vec it is a loop
  Slice,         ///< `begin`, `end` of a vector
  Concat,        ///< two vectors
  Map,           ///< operands: vector, body; `variable` is the element → vector
  Vec,           ///< operand: body; `variable` is the channel 0 … length - 1 → vector
  Rotate,        ///< operands: vector, angle in radians; `variable` is the pair 0 … dim/2 - 1; `dim`, `interleaved`
  WeightedSum,   ///< only in `out`: the sum of probs * value over the visible keys; vector
  Softmax,       ///< only in `probs`, at most once: operands: argument and, if there is one, sink
  Normalize,     ///< only in `probs`, at most once, instead of Softmax: operands: w, by
  Dropout,       ///< only in `probs`: operands: p, rate (f32), seed (i32), offset (i32)
  SuffixSum,     ///< only in `score` and `probs`: operand summed over this key and the visible ones of higher kv_idx
};

enum class IndexKind : std::uint8_t { B, H, KvHead, QIdx, KvIdx };
enum class InputKind : std::uint8_t { Query, Key, Value };
enum class UnaryOp : std::uint8_t {
  Neg, Abs,                           ///< i32 or f32, vectors
  Floor, Ceil, Round,                 ///< f32 → i32 (round: half to even); on vectors the elements stay f32
  Exp, Exp2, Log, Log2, Sin, Cos, Tanh, Sqrt, Rsqrt, Sigmoid, Erf, Relu,
};
enum class BinaryOp : std::uint8_t {
  Add, Sub, Mul, Min, Max,            ///< i32 or f32, vectors
  Div, Pow,                           ///< f32; Div vectors too
  FloorDiv, Mod,                      ///< i32, rounding towards -inf
  ShiftLeft, ShiftRight, BitAnd, BitXor, BitOr,  ///< i32, arithmetic shift
};
enum class CompareOp : std::uint8_t { Eq, Ne, Lt, Le, Gt, Ge };

/// What the value of an expression depends on, itself and through its operands.
struct Domain {
  bool row : 1 = false;      ///< the query row: q_idx, query, the weighted sum
  bool column : 1 = false;   ///< the key row: kv_idx, key, value
  bool batch : 1 = false;    ///< b, or an extent of one request
  bool qHead : 1 = false;    ///< h
  bool kvHead : 1 = false;   ///< kv_head
  bool inputs : 1 = false;   ///< query, key or value
  bool scan : 1 = false;     ///< holds a SuffixSum
  bool weight : 1 = false;   ///< holds the Softmax or Normalize
  bool random : 1 = false;   ///< holds a Dropout
  bool bound : 1 = false;    ///< holds a Variable of an enclosing Map, Vec or Rotate

  bool isPoint() const { return row && column; }
  Domain operator|(const Domain &other) const;
};

/// One node. Which members mean something follows from `kind`.
struct TypedExpr {
  ExprKind kind = ExprKind::Number;
  Type type;
  SourcePosition position;
  Domain domain;
  std::vector<const TypedExpr *> operands;

  double number = 0;
  bool boolean = false;
  IndexKind index = IndexKind::B;
  InputKind input = InputKind::Query;
  UnaryOp unary = UnaryOp::Neg;
  BinaryOp binary = BinaryOp::Add;
  CompareOp compare = CompareOp::Eq;
  std::string name;                       ///< of a Size
  std::uint32_t parameter = 0;            ///< of a Read into `tensors`, of a Scalar into `scalars`
  std::int64_t begin = 0, end = 0;        ///< of a Slice
  const TypedExpr *variable = nullptr;    ///< of a Map, Vec, Rotate
  std::int64_t dim = 0;                   ///< of a Rotate: the channels it turns, from the first
  bool interleaved = false;               ///< of a Rotate: pairs (2p, 2p + 1) instead of (p, p + dim/2)
  bool isScale = false;                   ///< of a Read or Scalar: the scale of an input or of `out`

  /// Bounds proved for a numeric scalar, both included; infinite where nothing is known.
  double lowest = 0, highest = 0;
  std::uint32_t variables = 0;            ///< bit d: it needs the Variable bound at nesting depth d (`domain.bound`: any)
  std::uint32_t height = 1;               ///< longest path to a leaf, at most `kMaxHeight`

  static constexpr std::uint32_t kMaxHeight = 1000;
  std::int64_t integer() const { return static_cast<std::int64_t>(number); }
  bool isConstant() const { return kind == ExprKind::Number || kind == ExprKind::Boolean; }
};

/// `in lo..hi`, both included. `q_len` and `kv_len` mean the common padded length.
struct RangePromise {
  SizeExpr lo, hi;
};

struct TensorParameter {
  std::string name;
  ElementType element = ElementType::F32;
  std::vector<SizeExpr> dims;
  std::optional<RangePromise> range;
  bool ascending = false;                 ///< along the last dimension
  bool used = false;                      ///< a definition that counts reads it; what is unused is not asked for
  bool isScale = false;                   ///< made for `query_scale` and the like: positive
  bool isLayoutInput = false;             ///< an input of the layout, which a scale of blocks reads
  SourcePosition position;
};

struct ScalarParameter {
  std::string name;
  ElementType element = ElementType::I32; ///< Bool, I32, F32
  std::optional<double> defaultValue;
  std::optional<RangePromise> range;
  bool used = false;
  bool isScale = false;                   ///< made for `query_scale` and the like: positive
  SourcePosition position;
};

enum class LayoutKind : std::uint8_t { Bshd, Bhsd, Ragged, Paged };
std::string_view spelling(LayoutKind layout);
enum class ScaleKind : std::uint8_t { None, PerTensor, PerHead, PerBlock };
struct ScaleProperty {
  ScaleKind kind = ScaleKind::None;
  std::int64_t blockRows = 0;             ///< of PerBlock
};

/// The properties, with their defaults filled in.
struct Properties {
  SizeExpr qHeads = SizeExpr::name("q_heads");   ///< number, or the extent's name
  SizeExpr kvHeads = SizeExpr::name("q_heads");  ///< number or extent; the very expression of qHeads where not given
  std::int64_t headDim = 0, headDimV = 0;        ///< lengths of the inputs; `out` is as long as the final `value`
  ElementType queryDtype = ElementType::BF16, keyDtype = ElementType::BF16, valueDtype = ElementType::BF16;
  ElementType outDtype = ElementType::BF16, probsDtype = ElementType::BF16;
  ScaleProperty queryScale, keyScale, valueScale, outScale;
  std::optional<double> softmaxScale;            ///< nothing: `runtime`
  LayoutKind layout = LayoutKind::Bshd;
  std::int64_t pageSize = 0;                     ///< of Paged
  bool outputOut = true, outputLse = true, outputMaxScore = false;
  std::vector<std::string> grad;                 ///< inputs and parameters; empty: forward only

  /// Where a property was written, for messages; the attention's name where it was not.
  SourcePosition headDimPosition, dtypePosition, layoutPosition, outputsPosition, gradPosition, scalesPosition,
      headsPosition, softmaxScalePosition;
};

enum class WeightKind : std::uint8_t {
  Softmax,     ///< `weight` is softmax(argument, sink)
  Normalize,   ///< `weight` is normalize(argument, by)
  Direct,      ///< `probs` is the weight as it is
};

/// How scores become weights. `TypedSpec::probs` is `weight` times factors free of it (Mul, Div with the weight above,
/// Neg, Dropout), or with Direct any scalar.
struct Weights {
  WeightKind kind = WeightKind::Softmax;
  const TypedExpr *weight = nullptr;      ///< the Softmax or Normalize node inside `probs`; null with Direct
  const TypedExpr *argument = nullptr;    ///< the softmax's argument, or w; null with Direct
  const TypedExpr *sink = nullptr;        ///< null: none
  const TypedExpr *by = nullptr;          ///< of Normalize
};

/// One analysed attention. Owns its nodes; movable only through its unique_ptr.
class TypedSpec {
public:
  TypedSpec() = default;
  TypedSpec(const TypedSpec &) = delete;
  TypedSpec &operator=(const TypedSpec &) = delete;

  std::string name;
  SourcePosition position;
  std::vector<std::string> fileNames;
  Properties properties;
  std::vector<TensorParameter> tensors;
  std::vector<ScalarParameter> scalars;   ///< launch arguments; those fixed by `-D` are constants and not here
  std::vector<std::string> extents;       ///< new names in sizes that nothing fixed, in order of appearance

  // The final meanings. Vectors that depend on both rows are sums of vectors of one row and of table rows (Read), each
  // times a scalar (Mul, Div), negated, or chosen by If: Add and Sub of such; slices stand at the leaves.
  const TypedExpr *query = nullptr, *key = nullptr, *value = nullptr;
  const TypedExpr *mask = nullptr;        ///< Boolean true where nothing is masked
  const TypedExpr *score = nullptr;       ///< null where `probs` does without it
  const TypedExpr *probs = nullptr;
  const TypedExpr *out = nullptr;         ///< the WeightedSum itself where not defined
  Weights weights;

  bool usesQuery = false, usesKey = false, usesValue = false;  ///< inputs read by what counts: probs, out, the sum
  bool queryIsDefined = false, keyIsDefined = false, valueIsDefined = false;

  /// Takes a node into the arena.
  TypedExpr *add(TypedExpr node);
  std::size_t nodeCount() const { return nodes.size(); }
  std::string_view fileName(SourcePosition position) const;

private:
  std::deque<TypedExpr> nodes;
};

/// Text for `--emit=ast`: the properties, parameters and final meanings, in the language's own words, nodes with several
/// users as `let`s.
std::string printTypedSpec(const TypedSpec &spec);
/// One expression, without sharing (for messages and tests).
std::string printTypedExpr(const TypedSpec &spec, const TypedExpr *expr);

std::string_view spelling(UnaryOp op);    ///< `-`, `abs`, `exp2`, …
std::string_view spelling(BinaryOp op);   ///< `+`, `min`, `//`, …
std::string_view spelling(CompareOp op);
std::string_view spelling(IndexKind index);
std::string_view spelling(InputKind input);

} // namespace attn::dsl
