/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an association request: what passes keeps to every limit, what does not has an answer. */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dicom/associate.h"
#include "dicom/uid.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_reply(const struct dicom_associate_reply *reply)
{
    unsigned char pdu[DICOM_ASSOCIATE_REPLY_SIZE];
    dicom_associate_write_reply(pdu, reply);
    assert(pdu[0] == DICOM_PDU_ABORT || (pdu[0] == DICOM_PDU_ASSOCIATE_RJ && pdu[7] > 0));
    assert(pdu[8] >= 1 && pdu[8] <= 3 && pdu[9] >= 1 && strlen(reply->text) > 0);
}

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dicom_associate_reply reply = {.type = DICOM_PDU_ABORT};
    struct dicom_associate request = {.contexts = -1};
    size_t whole = 0;
    if (size < DICOM_ASSOCIATE_HEADER_SIZE) {
        return 0;
    }
    const int measured = dicom_associate_measure(&whole, data, &reply);
    if (dicom_associate_parse(&request, data, size, &reply) != 0) {
        assert(request.contexts == -1);
        check_reply(&reply);
        return 0;
    }
    assert(measured == 0 && whole == size && size <= DICOM_ASSOCIATE_SIZE_MAX);
    assert(dicom_associate_is_ae(request.called_ae) && dicom_associate_is_ae(request.calling_ae));
    assert(request.contexts >= 1 && request.contexts <= 128);
    assert(request.implementation_class_uid[0] == '\0' ||
           dicom_uid_is_valid(request.implementation_class_uid));
    assert(strlen(request.implementation_version) < sizeof request.implementation_version);
    return 0;
}
