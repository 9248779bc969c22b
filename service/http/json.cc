#include "service/http/json.h"

#include <google/protobuf/util/json_util.h>

namespace kartograph::service {

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = false;
  std::string text;
  // Fails only for what the contract does not have: an Any of unknown type, a time out of range.
  (void)google::protobuf::util::MessageToJsonString(message, &text, options);
  return text;
}

}  // namespace kartograph::service
