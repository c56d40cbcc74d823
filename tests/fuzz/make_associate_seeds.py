#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Catch the association requests of DCMTK's tools and of pynetdicom, as they come over the wire, and make some
that nobody honest sends.  usage: make_associate_seeds.py FOLDER"""
import pathlib
import socket
import struct
import subprocess
import sys
import threading

from pynetdicom import AE, build_context, build_role
from pynetdicom.pdu_primitives import (SOPClassCommonExtendedNegotiation, SOPClassExtendedNegotiation,
                                       UserIdentityNegotiation)
from pynetdicom.presentation import StoragePresentationContexts
from pynetdicom.sop_class import MRImageStorage, Verification

REJECT = bytes((3, 0, 0, 0, 0, 4, 0, 1, 1, 1))


def receive(connection, size):
    data = b''
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def catch(call):
    """The first PDU that call(port) sends."""
    caught = []
    with socket.create_server(('127.0.0.1', 0)) as listener:
        listener.settimeout(20)

        def serve():
            connection, _ = listener.accept()
            with connection:
                header = receive(connection, 6)
                caught.append(header + receive(connection, struct.unpack('>I', header[2:])[0]))
                connection.sendall(REJECT)

        thread = threading.Thread(target=serve)
        thread.start()
        call(listener.getsockname()[1])
        thread.join()
    return caught[0]


def tool(words, *files):
    return catch(lambda port: subprocess.run(
        [*words.split(), '-aet', 'SCANNER 1', '-aec', 'SCTD', '127.0.0.1', str(port), *files], check=False,
        capture_output=True, timeout=20))


def pynetdicom(contexts, negotiation=()):
    def call(port):
        ae = AE(ae_title='PYNETDICOM')
        ae.requested_contexts = list(contexts)
        ae.associate('127.0.0.1', port, ae_title='SCTD', ext_neg=list(negotiation))
    return catch(call)


def identity(kind):
    item = UserIdentityNegotiation()
    item.user_identity_type = kind
    item.primary_field = b'user'
    if kind == 2:
        item.secondary_field = b'secret'
    return item


def extended():
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid = MRImageStorage
    item.service_class_application_information = b'\x02\x00\x03\x00\x01\x00'
    return item


def common_extended():
    item = SOPClassCommonExtendedNegotiation()
    item.sop_class_uid = MRImageStorage
    item.service_class_uid = '1.2.840.10008.4.2'
    item.related_general_sop_class_identification = ['1.2.840.10008.5.1.4.1.1.88.22']
    return item


def repeat_item(pdu, kind, times):
    """The same request with the first user information sub-item of a kind `times` more."""
    at = 74
    while pdu[at] != 0x50:
        at += 4 + struct.unpack('>H', pdu[at + 2:at + 4])[0]
    size = struct.unpack('>H', pdu[at + 2:at + 4])[0]
    sub = at + 4
    while pdu[sub] != kind:
        sub += 4 + struct.unpack('>H', pdu[sub + 2:sub + 4])[0]
    item = pdu[sub:sub + 4 + struct.unpack('>H', pdu[sub + 2:sub + 4])[0]] * times
    pdu = pdu[:at + 2] + struct.pack('>H', size + len(item)) + pdu[at + 4:at + 4 + size] + item + pdu[at + 4 + size:]
    return pdu[:2] + struct.pack('>I', len(pdu) - 6) + pdu[6:]


def main():
    folder = pathlib.Path(sys.argv[1])
    nothing = folder / 'nothing.dcm'
    dump = folder / 'nothing.txt'
    dump.write_text('(0008,0016) UI 1.2.840.10008.5.1.4.1.1.4\n(0008,0018) UI 1.2.3\n')
    subprocess.run(['dump2dcm', str(dump), str(nothing)], check=True)
    dump.unlink()
    echo = build_context(Verification)
    many = [build_context(c.abstract_syntax) for c in StoragePresentationContexts[:128]]
    seeds = {
        'echoscu': tool('echoscu'),
        'storescu': tool('storescu', str(nothing)),
        'storescu-propose': tool('storescu -R +C', str(nothing)),
        'dcmsend': tool('dcmsend', str(nothing)),
        'findscu': tool('findscu -S -k 8,52=STUDY'),
        'pynetdicom-echo': pynetdicom([echo]),
        'pynetdicom-storage': pynetdicom(many),
        'pynetdicom-user': pynetdicom([echo], [identity(1)]),
        'pynetdicom-password': pynetdicom([echo], [identity(2)]),
        'pynetdicom-negotiation': pynetdicom(
            [build_context(MRImageStorage)],
            [build_role(MRImageStorage, scp_role=True, scu_role=True), extended(), common_extended()]),
    }
    nothing.unlink()
    seeds['hostile-identities'] = repeat_item(seeds['pynetdicom-user'], 0x58, 5800 // 58)
    seeds['hostile-version'] = seeds['echoscu'][:7] + b'\x02' + seeds['echoscu'][8:]
    seeds['hostile-ae'] = seeds['echoscu'][:10] + b'../../etc/passwd' + seeds['echoscu'][26:]
    seeds['hostile-short'] = seeds['echoscu'][:80]
    seeds['release'] = bytes((5, 0, 0, 0, 0, 4, 0, 0, 0, 0))
    for name, pdu in seeds.items():
        (folder / name).write_bytes(pdu)


main()
