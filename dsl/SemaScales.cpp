// Scales of query, key, value and out: a stored number times its scale is the value that a specification speaks of. They
// are arguments like parameters, and stand in the final meanings where an input is first read and where `out` is stored:
//
//   query_scale: per_head   →   query_scale: f32[batch, q_heads],     `query` = input.query * query_scale[b, h]
//   out_scale: per_tensor   →   out_scale: f32,                       `out`   = … * (1 / out_scale)
//   key_scale: per_block(n) →   key_scale: f32[batch, kv_heads, ceil(kv_len / n)], read at [b, kv_head, kv_idx / n];
//                               in pages of m rows f32[pages, kv_heads, ceil(m / n)], read at
//                               [page_table[b, kv_idx / m], kv_head, kv_idx mod m / n]
#include "dsl/RequestRows.h"
#include "dsl/Sema.h"

#include <algorithm>
#include <utility>

namespace attn::dsl {

/// Whose rows a scale belongs to: query and out lie along q_idx and h, key and value along kv_idx and kv_head.
static bool isOfQueries(PropertyName name) { return name == PropertyName::QueryScale || name == PropertyName::OutScale; }

static const ScaleProperty &propertyOf(const Properties &properties, PropertyName name) {
  switch (name) {
  case PropertyName::QueryScale: return properties.queryScale;
  case PropertyName::KeyScale: return properties.keyScale;
  case PropertyName::ValueScale: return properties.valueScale;
  default: return properties.outScale;
  }
}

/// The layout's input that says where pages of keys lie, to be read as a tensor of the specification.
std::uint32_t Sema::pageTable() {
  auto known = std::ranges::find_if(spec->tensors, &TensorParameter::isLayoutInput);
  if (known != spec->tensors.end())
    return static_cast<std::uint32_t>(known - spec->tensors.begin());
  TensorParameter tensor;
  tensor.name = "page_table";
  tensor.element = ElementType::I32;
  tensor.isLayoutInput = true;
  tensor.position = spec->properties.layoutPosition;
  for (const LayoutInput &input : layoutInputs(spec->properties))
    if (input.name == tensor.name)
      tensor.dims = input.dims;
  spec->tensors.push_back(std::move(tensor));
  return static_cast<std::uint32_t>(spec->tensors.size() - 1);
}

/// The scale at the point, null where there is none; its argument is added when it is first asked for.
ExprRef Sema::scaleOf(PropertyName name) {
  const ScaleProperty &property = propertyOf(spec->properties, name);
  if (property.kind == ScaleKind::None)
    return nullptr;
  auto [known, isNew] = scales.try_emplace(name, nullptr);
  if (!isNew)
    return known->second;
  std::string text(spelling(name));
  if (property.kind == ScaleKind::PerTensor) {
    ScalarParameter scalar;
    scalar.name = text;
    scalar.element = ElementType::F32;
    scalar.isScale = true;
    scalar.position = propertyPosition(name);
    spec->scalars.push_back(std::move(scalar));
    return known->second = builder.scalar(static_cast<std::uint32_t>(spec->scalars.size() - 1));
  }
  bool ofQueries = isOfQueries(name);
  TensorParameter tensor;
  tensor.name = text;
  tensor.isScale = true;
  tensor.position = propertyPosition(name);
  tensor.dims = {SizeExpr::name("batch"), ofQueries ? spec->properties.qHeads : spec->properties.kvHeads};
  std::vector<ExprRef> place = {builder.index(IndexKind::B), builder.index(ofQueries ? IndexKind::H : IndexKind::KvHead)};
  if (property.kind == ScaleKind::PerBlock && !ofQueries && spec->properties.layout == LayoutKind::Paged) {
    SizeExpr rows = SizeExpr::number(spec->properties.pageSize);
    tensor.dims[0] = SizeExpr::name(kPages);
    tensor.dims.push_back(SizeExpr::binary(SizeExpr::Kind::CeilDiv, rows, SizeExpr::number(property.blockRows)));
    ExprRef row = builder.index(IndexKind::KvIdx), pageSize = builder.integer(spec->properties.pageSize);
    place[0] = builder.read(pageTable(), {place[0], builder.binary(BinaryOp::FloorDiv, row, pageSize)}, Type::i32());
    ExprRef rowOfPage = builder.binary(BinaryOp::Mod, row, pageSize);
    place.push_back(builder.binary(BinaryOp::FloorDiv, rowOfPage, builder.integer(property.blockRows)));
  } else if (property.kind == ScaleKind::PerBlock) {
    SizeExpr rows = SizeExpr::name(ofQueries ? "q_len" : "kv_len");
    tensor.dims.push_back(SizeExpr::binary(SizeExpr::Kind::CeilDiv, rows, SizeExpr::number(property.blockRows)));
    ExprRef row = builder.index(ofQueries ? IndexKind::QIdx : IndexKind::KvIdx);
    place.push_back(builder.binary(BinaryOp::FloorDiv, row, builder.integer(property.blockRows)));
  }
  spec->tensors.push_back(std::move(tensor));
  return known->second = builder.read(static_cast<std::uint32_t>(spec->tensors.size() - 1), std::move(place), Type::f32());
}

ExprRef Sema::scaledInput(InputKind kind) {
  static constexpr PropertyName kScales[] = {PropertyName::QueryScale, PropertyName::KeyScale, PropertyName::ValueScale};
  const Properties &own = spec->properties;
  ExprRef row = builder.input(kind, kind == InputKind::Value ? own.headDimV : own.headDim);
  ExprRef scale = scaleOf(kScales[static_cast<unsigned>(kind)]);
  return scale ? builder.binary(BinaryOp::Mul, row, scale) : row;
}

/// The numbers that are stored for `out`.
ExprRef Sema::storedOut(ExprRef out) {
  ExprRef scale = out ? scaleOf(PropertyName::OutScale) : nullptr;
  if (!scale)
    return out;
  ExprRef inverse = builder.binary(BinaryOp::Div, builder.number(1, Type::f32()), scale);
  return builder.binary(BinaryOp::Mul, out, inverse);
}

} // namespace attn::dsl
