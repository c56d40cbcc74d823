# SPDX-License-Identifier: Apache-2.0
"""pynetdicom as a PACS that holds series: C-FIND, C-GET, C-MOVE, and C-STORE of what comes back."""
import pydicom
from pydicom.dataset import Dataset
from pynetdicom import AE, StoragePresentationContexts, build_context, evt
from pynetdicom.sop_class import (MRImageStorage, StudyRootQueryRetrieveInformationModelFind,
                                  StudyRootQueryRetrieveInformationModelGet,
                                  StudyRootQueryRetrieveInformationModelMove)

from kit import daemon

WAITING = 0xFF00


class Pacs:
    """pynetdicom as a PACS with the given images.  `get(n, event)`: None, or a status instead of the nth C-GET."""

    def __init__(self, paths, node_port, get=None, calls=None):
        self.sets = [pydicom.dcmread(p) for p in paths]
        self.node_port, self.refuse = node_port, get or (lambda n: None)
        self.finds, self.gets, self.moves, self.stored = [], 0, 0, []
        self.after_store = calls or (lambda uid, status: None)
        self.ae = AE(ae_title='PACS')
        self.ae.supported_contexts = StoragePresentationContexts[:128 - 3]
        for context in (MRImageStorage, *(c.abstract_syntax for c in StoragePresentationContexts[:120])):
            self.ae.add_supported_context(context, scu_role=True, scp_role=True)
        for model in (StudyRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelGet,
                      StudyRootQueryRetrieveInformationModelMove):
            self.ae.add_supported_context(model)
        self.port = daemon.free_port()
        self.server = self.ae.start_server(('127.0.0.1', self.port), block=False, evt_handlers=[
            (evt.EVT_C_FIND, self._find), (evt.EVT_C_GET, self._get), (evt.EVT_C_MOVE, self._move),
            (evt.EVT_C_STORE, self._store)])

    def _matching(self, query):
        wanted = {k: query.get(k) for k in ('StudyInstanceUID', 'SeriesInstanceUID')}
        return [d for d in self.sets if all(not v or str(d.get(k)) in str(v).split('\\') or d.get(k) in v
                                            for k, v in wanted.items())]

    def _find(self, event):
        query = event.identifier
        self.finds.append(query)
        key = 'StudyInstanceUID' if query.QueryRetrieveLevel == 'STUDY' else 'SeriesInstanceUID'
        found = {}
        for d in self._matching(query):
            found.setdefault(d.get(key), []).append(d)
        for members in found.values():
            answer, one = Dataset(), members[0]
            answer.QueryRetrieveLevel = query.QueryRetrieveLevel
            for element in query:
                if element.keyword == 'NumberOfSeriesRelatedInstances':
                    answer.NumberOfSeriesRelatedInstances = len(members)
                elif element.keyword == 'ModalitiesInStudy':
                    answer.ModalitiesInStudy = one.Modality
                elif element.keyword != 'QueryRetrieveLevel':
                    setattr(answer, element.keyword, one.get(element.keyword, ''))
            yield WAITING, answer
        yield 0x0000, None

    def _get(self, event):
        n, self.gets = self.gets, self.gets + 1
        status = self.refuse(n)
        found = self._matching(event.identifier)
        yield len(found)
        if status is not None:
            yield status, None
            return
        for d in found:
            yield WAITING, d
            self.after_store(d.SOPInstanceUID, None)

    def _move(self, event):
        self.moves += 1
        yield ('127.0.0.1', self.node_port, {'contexts': [build_context(MRImageStorage, '1.2.840.10008.1.2.1')]})
        found = self._matching(event.identifier)
        yield len(found)
        for d in found:
            yield WAITING, d

    def _store(self, event):
        self.stored.append(event.dataset)
        return 0x0000

    def stop(self):
        self.server.shutdown()
