/* SPDX-License-Identifier: Apache-2.0 */
#include <climits>
#include <cstddef>
#include <memory>
#include <vector>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcpixel.h>
#include <dcmtk/dcmdata/dcpixseq.h>
#include <dcmtk/dcmdata/dcpxitem.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmjpeg/djcparam.h>
#include <dcmtk/dcmjpeg/djdijg12.h>
#include <dcmtk/dcmjpeg/djdijg16.h>
#include <dcmtk/dcmjpeg/djdijg8.h>
#include <dcmtk/dcmjpls/djcodecd.h>
#include <dcmtk/dcmjpls/djcparam.h>

#include "dicom/codec.h"
#include "dicom/guard.hh"
#include "dicom/instance.h"
#include "dicom/part10.h"
#include "engine/base/error.h"

namespace
{

constexpr const char *damaged = "a damaged stream";

/* The decoder of the Independent JPEG Group fills up with grey what is missing, and warns. */
template <typename Base> class strict final : public Base
{
  public:
    using Base::Base;

    void emitMessage(int level) const override
    {
        warned = warned || level < 0;
    }

    mutable bool warned = false;
};

template <typename Base>
OFCondition run_jpeg(bool &ret_warned, unsigned char *ret_samples, Uint32 room,
                     const struct dicom_code_stream &stream)
{
    const DJCodecParameter parameter(ECC_lossyYCbCr, EDC_never, EUC_never, EPC_default);
    strict<Base> decoder(parameter, OFFalse);
    std::vector<Uint8> bytes(stream.bytes, stream.bytes + stream.size); /* it wants them mutable */
    OFCondition done = decoder.init();
    if (done.good()) {
        done = decoder.decode(bytes.data(), static_cast<Uint32>(bytes.size()), ret_samples, room,
                              stream.format->is_signed == 1);
    }
    ret_warned = decoder.warned;
    return done;
}

int decode_jpeg(unsigned char *ret_samples, Uint32 room, const struct dicom_code_stream &stream,
                struct sctd_error *err)
{
    bool warned = false;
    OFCondition done;
    if (stream.precision <= 8) {
        done = run_jpeg<DJDecompressIJG8Bit>(warned, ret_samples, room, stream);
    } else if (stream.precision <= 12) {
        done = run_jpeg<DJDecompressIJG12Bit>(warned, ret_samples, room, stream);
    } else {
        done = run_jpeg<DJDecompressIJG16Bit>(warned, ret_samples, room, stream);
    }
    if (done == EC_MemoryExhausted) {
        return sctd_error(err, SCTD_ENOMEM, "a decoder of JPEG");
    }
    if (done.bad() || warned) {
        return sctd_error(err, SCTD_EDATA, "%s", done.bad() ? done.text() : damaged);
    }
    return 0;
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
        DcmPixelItem *const owned = table.release(); /* by the sequence */
        static_cast<void>(owned);
        done = sequence.insert(fragment.get());
    }
    if (done.good()) {
        DcmPixelItem *const owned = fragment.release();
        static_cast<void>(owned);
    }
    return done;
}

/* The codec is used by itself: DCMTK's list of codecs is the whole process's. */
int decode_jpeg_ls(unsigned char *ret_samples, Uint32 room, const struct dicom_code_stream &stream,
                   struct sctd_error *err)
{
    const DJLSNearLosslessDecoder decoder;
    const DJLSCodecParameter parameter;
    DcmItem item;
    DcmPixelSequence sequence(DCM_PixelSequenceTag);
    OFString photometric;
    Uint32 first = 1;
    OFCondition done = describe(item, *stream.format);
    if (done.good()) {
        done = enclose(sequence, stream);
    }
    if (done.good()) {
        done = decoder.decodeFrame(nullptr, &sequence, &parameter, &item, 0, first, ret_samples,
                                   room, photometric);
    }
    if (done == EC_MemoryExhausted) {
        return sctd_error(err, SCTD_ENOMEM, "a decoder of JPEG-LS");
    }
    return done.good() ? 0 : sctd_error(err, SCTD_EDATA, "%s", done.text());
}

} // namespace

int dicom_codec_decode_dcmtk(unsigned char *ret_samples, std::size_t room,
                             const struct dicom_code_stream *stream, struct sctd_error *err)
{
    return dicom_guard(err, [&] {
        if (stream->size >= UINT_MAX || room > UINT_MAX) {
            return sctd_error(err, SCTD_EDATA, "%zu bytes of a frame of %zu", stream->size, room);
        }
        const Uint32 size = static_cast<Uint32>(room);
        return stream->compression == DICOM_COMPRESSION_JPEG_LS
                   ? decode_jpeg_ls(ret_samples, size, *stream, err)
                   : decode_jpeg(ret_samples, size, *stream, err);
    });
}
