// The contract's messages as JSON, in protobuf's standard mapping.
#ifndef KARTOGRAPH_SERVICE_HTTP_JSON_H_
#define KARTOGRAPH_SERVICE_HTTP_JSON_H_

#include <google/protobuf/message.h>

#include <string>

namespace kartograph::service {

// One line, lowerCamelCase names, fields with their default value included.
std::string ToJson(const google::protobuf::Message& message);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_HTTP_JSON_H_
