/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "dicom/source.h"
#include "dicom/uid.h"
#include "engine/base/error.h"

static const char hash[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

static void only_well_formed_uids_are_valid(void)
{
    static const char *const good[] = {"1", "0", "1.2.840.10008.1.1", "2.25.0", "1.0.2", "2.25.10"};
    static const char *const bad[] = {"",     ".",    "1.",     ".1",  "1..2", "01.2", "1.02",
                                      "1.2a", "1.2 ", "../etc", "1/2", "-1",   "1.00"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert(dicom_uid_is_valid(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert(!dicom_uid_is_valid(bad[i]));
    }
    char longest[DICOM_UID_SIZE + 1];
    memset(longest, '1', sizeof longest);
    longest[DICOM_UID_SIZE - 1] = '\0';
    assert(dicom_uid_is_valid(longest)); /* 64 */
    longest[DICOM_UID_SIZE - 1] = '1';
    longest[DICOM_UID_SIZE] = '\0';
    assert(!dicom_uid_is_valid(longest)); /* 65 */
}

/* The decimal values are Python's int.from_bytes(digest[:16], "big"). */
static void digest_becomes_its_first_128_bits_in_decimal(void)
{
    unsigned char digest[32] = {0};
    char uid[DICOM_UID_SIZE];
    dicom_uid_from_digest(uid, digest);
    assert(strcmp(uid, "2.25.0") == 0);
    digest[15] = 10;
    digest[16] = 255; /* not among the first 128 bits */
    dicom_uid_from_digest(uid, digest);
    assert(strcmp(uid, "2.25.10") == 0);
    memset(digest, 255, sizeof digest);
    dicom_uid_from_digest(uid, digest);
    assert(strcmp(uid, "2.25.340282366920938463463374607431768211455") == 0);
    for (unsigned i = 0; i < 16; i++) {
        digest[i] = (unsigned char)(i + 1);
    }
    dicom_uid_from_digest(uid, digest);
    assert(strcmp(uid, "2.25.1339673755198158349044581307228491536") == 0);
}

static struct dicom_sct_work make_work(struct dicom_source source[3])
{
    for (int32_t i = 0; i < 3; i++) {
        source[i] = (struct dicom_source){.frame = i};
        (void)snprintf(source[i].sop_instance_uid, DICOM_UID_SIZE, "1.2.3");
    }
    return (struct dicom_sct_work){.source_series_uid = "1.2",
                                   .source = source,
                                   .n = 3,
                                   .model_sha256 = hash,
                                   .parameters = "p"};
}

static void make(char series[DICOM_UID_SIZE], char (*instances)[DICOM_UID_SIZE],
                 const struct dicom_sct_work *work)
{
    struct sctd_error err = {0};
    assert(dicom_uid_for_sct(series, instances, 2, work, &err) == 0);
    assert(dicom_uid_is_valid(series));
    assert(dicom_uid_is_valid(instances[0]));
}

static void same_work_makes_the_same_uids_whatever_the_order_of_its_sources(void)
{
    struct dicom_source source[3];
    struct dicom_sct_work work = make_work(source);
    char series[2][DICOM_UID_SIZE];
    char instances[2][2][DICOM_UID_SIZE];
    make(series[0], instances[0], &work);
    const struct dicom_source first = source[0];
    source[0] = source[2];
    source[2] = first;
    make(series[1], instances[1], &work);
    assert(strcmp(series[0], series[1]) == 0);
    assert(strcmp(instances[0][0], instances[1][0]) == 0);
    assert(strcmp(instances[0][1], instances[1][1]) == 0);
    assert(strcmp(instances[0][0], instances[0][1]) != 0);
    assert(strcmp(instances[0][0], series[0]) != 0);
}

static void every_part_of_the_work_changes_the_uids(void)
{
    struct dicom_source source[3];
    const struct dicom_sct_work base = make_work(source);
    char was[DICOM_UID_SIZE];
    char is[DICOM_UID_SIZE];
    char instances[2][DICOM_UID_SIZE];
    make(was, instances, &base);

    struct dicom_sct_work work = base;
    work.parameters = "q";
    make(is, instances, &work);
    assert(strcmp(was, is) != 0);

    work = base;
    work.source_series_uid = "1.21";
    make(is, instances, &work);
    assert(strcmp(was, is) != 0);

    work = base;
    work.n = 2; /* one frame fewer */
    make(is, instances, &work);
    assert(strcmp(was, is) != 0);

    work = base;
    source[1].frame = 7; /* another echo of the same instance */
    make(is, instances, &work);
    assert(strcmp(was, is) != 0);
}

static void bad_uids_and_hashes_are_refused(void)
{
    struct dicom_source source[3];
    struct dicom_sct_work work = make_work(source);
    struct sctd_error err = {0};
    char series[DICOM_UID_SIZE];
    char instances[2][DICOM_UID_SIZE];
    work.model_sha256 = "abc";
    assert(dicom_uid_for_sct(series, instances, 2, &work, &err) == SCTD_EINVAL);
    work = make_work(source);
    (void)snprintf(source[2].sop_instance_uid, DICOM_UID_SIZE, "../x");
    assert(dicom_uid_for_sct(series, instances, 2, &work, &err) == SCTD_EINVAL);
    work = make_work(source);
    work.source_series_uid = "";
    assert(dicom_uid_for_sct(series, instances, 2, &work, &err) == SCTD_EINVAL);
}

/* The decimal values are Python's, of hashlib's digest of purpose, NUL, UID, NUL. */
static void uids_of_a_page_follow_from_the_series_of_its_sct_alone(void)
{
    struct sctd_error err = {0};
    char series[DICOM_UID_SIZE];
    char instance[DICOM_UID_SIZE];
    assert(dicom_uid_for_page(series, instance, "2.25.123", &err) == 0);
    assert(strcmp(series, "2.25.184467968208901458012017717358282826891") == 0);
    assert(strcmp(instance, "2.25.53281176269270699959706482339740286576") == 0);
    char other[2][DICOM_UID_SIZE];
    assert(dicom_uid_for_page(other[0], other[1], "2.25.1234", &err) == 0);
    assert(strcmp(other[0], series) != 0 && strcmp(other[1], instance) != 0);
    assert(dicom_uid_for_page(other[0], other[1], "../x", &err) == SCTD_EINVAL);
    assert(dicom_uid_for_page(other[0], other[1], "", &err) == SCTD_EINVAL);
}

int main(void)
{
    only_well_formed_uids_are_valid();
    digest_becomes_its_first_128_bits_in_decimal();
    same_work_makes_the_same_uids_whatever_the_order_of_its_sources();
    every_part_of_the_work_changes_the_uids();
    bad_uids_and_hashes_are_refused();
    uids_of_a_page_follow_from_the_series_of_its_sct_alone();
    return 0;
}
