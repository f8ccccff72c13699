" Vim syntax of attnc specifications. Written by scripts/generate_editor_files; do not edit.
if exists('b:current_syntax')
  finish
endif

syntax keyword attnKeyword import fn attention let if then else in ascending
syntax keyword attnOperator and or not
syntax keyword attnTruth true false
syntax keyword attnType f64 f32 bf16 f16 e4m3 e5m2 i32 i16 i8 bool bit
syntax keyword attnFlow q_pos kv_pos query key value mask score probs out
syntax keyword attnIndex b h kv_head q_idx kv_idx
syntax match attnExtent /\<\%(batch\|q_len\|kv_len\|q_heads\|kv_heads\|head_dim\|head_dim_v\)\>/
syntax keyword attnConstant pi inf any none runtime
syntax match attnProperty /\<\%(q_heads\|kv_heads\|head_dim\|head_dim_v\|dtype\|query_dtype\|key_dtype\|value_dtype\|out_dtype\|probs_dtype\|query_scale\|key_scale\|value_scale\|out_scale\|softmax_scale\|layout\|outputs\|grad\)\ze\s*:/
syntax match attnBuiltin /\<\%(abs\|floor\|ceil\|round\|exp\|exp2\|log\|log2\|sin\|cos\|tanh\|sqrt\|rsqrt\|sigmoid\|erf\|relu\|min\|max\|clamp\|dot\|sum\|len\|concat\|map\|vec\|rotate\|suffix_sum\|softmax\|normalize\|dropout\)\ze\s*(/
syntax match attnPrelude /\<\%(causal\|window\|dilated\|chunked\|prefix_lm\|padding\|same_document\|near\|neighborhood_2d\|tree\|subtree\|alibi_slope\|alibi\|softcap\|t5_bucket\|deberta_bucket\|kerple_log\|kerple_power\|sandwich\|fire\|cope\|rms_norm\|l2_normalize\|sinusoidal\|rope\|xpos\|mrope\|mrope_interleaved\|rope_2d\|ntk\|dynamic_ntk\|yarn_pair\|yarn\|yarn_magnitude\|longrope\|longrope_magnitude\|llama3_frequency\)\ze\s*(/
syntax match attnNumber /\<0[xX]\x\+\>\|\<\d\+\%(\.\d\+\)\?\%([eE][+-]\?\d\+\)\?\>/
syntax region attnString start=/"/ end=/"\|$/
syntax match attnComment /#.*$/ contains=@Spell

highlight default link attnKeyword Keyword
highlight default link attnOperator Operator
highlight default link attnTruth Boolean
highlight default link attnType Type
highlight default link attnFlow Identifier
highlight default link attnIndex Identifier
highlight default link attnExtent Constant
highlight default link attnConstant Constant
highlight default link attnProperty Label
highlight default link attnBuiltin Function
highlight default link attnPrelude Function
highlight default link attnNumber Number
highlight default link attnString String
highlight default link attnComment Comment

let b:current_syntax = 'attn'
