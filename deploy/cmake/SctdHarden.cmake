add_library(sctd_harden INTERFACE)
if(SCTD_SANITIZE)
    target_compile_options(sctd_harden INTERFACE $<$<COMPILE_LANGUAGE:C,CXX>:-fsanitize=${SCTD_SANITIZE}
        -fno-sanitize-recover=all -fno-omit-frame-pointer -O1>)
    target_link_options(sctd_harden INTERFACE -fsanitize=${SCTD_SANITIZE})
else()
    target_compile_options(sctd_harden INTERFACE $<$<COMPILE_LANGUAGE:C,CXX>:-fstack-protector-strong
        -fstack-clash-protection -fcf-protection=full $<$<CONFIG:Release,RelWithDebInfo>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3>>)
    target_link_options(sctd_harden INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
endif()
# never -ffast-math / -Ofast: an sCT must be reproducible
target_compile_options(sctd_harden INTERFACE $<$<COMPILE_LANGUAGE:C,CXX>:-ffp-contract=off>)
if(SCTD_FUZZ)
    # libFuzzer steers by the coverage of our own libraries
    target_compile_options(sctd_harden INTERFACE $<$<COMPILE_LANGUAGE:C,CXX>:-fsanitize=fuzzer-no-link>)
    target_link_options(sctd_harden INTERFACE -fsanitize=fuzzer-no-link)
endif()
