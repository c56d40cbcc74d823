/* SPDX-License-Identifier: Apache-2.0 */
#include <climits>
#include <cstddef>
#include <cstring>
#include <memory>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcpixel.h>
#include <dcmtk/dcmdata/dcpixseq.h>
#include <dcmtk/dcmdata/dcpxitem.h>
#include <dcmtk/dcmdata/dcrleccd.h>
#include <dcmtk/dcmdata/dcrlecp.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmjpeg/djcparam.h>
#include <dcmtk/dcmjpeg/djdecbas.h>
#include <dcmtk/dcmjpeg/djdecext.h>
#include <dcmtk/dcmjpeg/djdeclol.h>
#include <dcmtk/dcmjpeg/djdecsv1.h>
#include <dcmtk/dcmjpls/djcodecd.h>
#include <dcmtk/dcmjpls/djcparam.h>

#include "dicom/codec.h"
#include "dicom/guard.hh"
#include "dicom/instance.h"
#include "dicom/part10.h"
#include "engine/base/error.h"

namespace
{

/* A decoder and its parameters.  They are used by themselves: DCMTK's list of codecs is the process's. */
struct Decoder {
    std::unique_ptr<DcmCodec> codec;
    std::unique_ptr<DcmCodecParameter> parameter;
};

std::unique_ptr<DcmCodec> make_jpeg(const char *transfer_syntax_uid)
{
    if (std::strcmp(transfer_syntax_uid, "1.2.840.10008.1.2.4.50") == 0) {
        return std::make_unique<DJDecoderBaseline>();
    }
    if (std::strcmp(transfer_syntax_uid, "1.2.840.10008.1.2.4.51") == 0) {
        return std::make_unique<DJDecoderExtended>();
    }
    if (std::strcmp(transfer_syntax_uid, "1.2.840.10008.1.2.4.57") == 0) {
        return std::make_unique<DJDecoderLossless>();
    }
    return std::make_unique<DJDecoderP14SV1>();
}

Decoder make_decoder(const struct dicom_code_stream &stream)
{
    if (stream.compression == DICOM_COMPRESSION_RLE) {
        return {std::make_unique<DcmRLECodecDecoder>(), std::make_unique<DcmRLECodecParameter>()};
    }
    if (stream.compression == DICOM_COMPRESSION_JPEG_LS) {
        return {std::make_unique<DJLSNearLosslessDecoder>(),
                std::make_unique<DJLSCodecParameter>()};
    }
    return {make_jpeg(stream.transfer_syntax_uid),
            std::make_unique<DJCodecParameter>(ECC_lossyYCbCr, EDC_never, EUC_never, EPC_default)};
}

OFCondition describe(DcmItem &item, const struct dicom_pixel_format &format)
{
    const struct {
        DcmTagKey tag;
        int value;
    } numbers[] = {
        {DCM_SamplesPerPixel, 1},
        {DCM_Rows, format.rows},
        {DCM_Columns, format.columns},
        {DCM_BitsAllocated, format.bits_allocated},
        {DCM_BitsStored, format.bits_stored},
        {DCM_HighBit, format.high_bit},
        {DCM_PixelRepresentation, format.is_signed},
    };
    /* with their value representations, so that nobody looks for a dictionary */
    OFCondition done =
        item.putAndInsertString(DcmTag(DCM_PhotometricInterpretation, EVR_CS), format.photometric);
    for (const auto &number : numbers) {
        if (done.good()) {
            done = item.putAndInsertUint16(DcmTag(number.tag, EVR_US),
                                           static_cast<Uint16>(number.value));
        }
    }
    return done;
}

/* An empty offset table and the frame as one fragment. */
OFCondition enclose(DcmPixelSequence &sequence, const struct dicom_code_stream &stream)
{
    auto table = std::make_unique<DcmPixelItem>(DCM_PixelItemTag);
    auto fragment = std::make_unique<DcmPixelItem>(DCM_PixelItemTag);
    OFCondition done = fragment->putUint8Array(stream.bytes, stream.size);
    if (done.good()) {
        done = sequence.insert(table.get());
    }
    if (done.good()) {
        static_cast<void>(table.release()); /* the sequence has it */
        done = sequence.insert(fragment.get());
    }
    if (done.good()) {
        static_cast<void>(fragment.release());
    }
    return done;
}

} // namespace

int dicom_codec_decode_dcmtk(unsigned char *ret_samples, std::size_t room,
                             const struct dicom_code_stream *stream, struct sctd_error *err)
{
    return dicom_guard(err, [&] {
        if (stream->size >= UINT_MAX || room > UINT_MAX) {
            return sctd_error(err, SCTD_EDATA, "a frame of %zu bytes in %zu", room, stream->size);
        }
        const Decoder decoder = make_decoder(*stream);
        DcmItem item;
        DcmPixelSequence sequence(DCM_PixelSequenceTag);
        OFString photometric;
        Uint32 first = 1;
        OFCondition done = describe(item, *stream->format);
        if (done.good()) {
            done = enclose(sequence, *stream);
        }
        if (done.good()) {
            done = decoder.codec->decodeFrame(nullptr, &sequence, decoder.parameter.get(), &item, 0,
                                              first, ret_samples, static_cast<Uint32>(room),
                                              photometric);
        }
        if (done == EC_MemoryExhausted) {
            return sctd_error(err, SCTD_ENOMEM, "a decoder ran out of memory");
        }
        return done.good() ? 0 : sctd_error(err, SCTD_EDATA, "%s", done.text());
    });
}
