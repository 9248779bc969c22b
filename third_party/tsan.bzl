"""What a program needs to be judged by ThreadSanitizer beside libraries that are built without it."""

# For the deps of every test and binary with threads that use Abseil or gRPC.
TSAN_LIBRARIES = select({
    "//third_party:tsan": ["//third_party:tsan_libraries"],
    "//conditions:default": [],
})
